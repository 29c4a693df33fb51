// The job: calls orders at once, and ends with the code that its first argument says.
import { get } from '../support/get.ts'

const port = 15001 + Number(process.env.OUTRIGGER_EXAMPLE_SHIFT ?? 0)
const { status, body } = await get(port, '/report')
console.log(`the report: ${status} ${body.trim()}`)
process.exit(Number(process.argv[2] ?? 0))
