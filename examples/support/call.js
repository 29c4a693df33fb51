// Calls a URL so many times, one call after the other, and prints how many answers were which, as JSON; on standard error
// it says when a tenth of them is done:
//   node call.js http://10.78.0.11:8080/ 20      {"200 web-1 orders-2":9,"200 web-1 orders-1":11}
import { setTimeout as sleep } from 'node:timers/promises'

const [url, times, pauseMs = '0'] = process.argv.slice(2)
const answers = {}
for (let i = 0; i < Number(times); i++) {
  const answer = await one()
  answers[answer] = (answers[answer] ?? 0) + 1
  if (i === Math.floor(Number(times) / 10)) console.error('under way')
  await sleep(Number(pauseMs))
}
console.log(JSON.stringify(answers))

async function one() {
  try {
    const answer = await fetch(url)
    const body = await answer.text()
    return answer.ok ? `${answer.status} ${namesOf(JSON.parse(body))}` : `${answer.status} ${body.trim()}`
  } catch (error) {
    return `no answer: ${error.cause?.code ?? error.message}`
  }
}

function namesOf({ from, next }) {
  return next === undefined ? from : `${from} ${namesOf(next)}`
}
