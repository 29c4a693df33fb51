import type { FlightsAnswer, FlightView } from '../core/channel.ts'
import { type Ask, askAll, missingNote } from './ask.ts'
import { readFilter, selectFlights } from './flights-select.ts'
import { flightText } from './flights-text.ts'
import { eitherAnswer, errorAnswer } from './page.ts'
import type { Page } from './page-types.ts'

export function flightsPage(ask: Ask): Page {
  return {
    path: '/flights',
    methods: ['GET'],
    shows: 'the decision records of the last requests, oldest first; the failed ones are kept longer',
    parameters: '?failed  ?limit=20  ?service=orders  ?endpoint=10.0.0.1:8080  ?id=<request or trace id>',
    async answer(request) {
      const filter = readFilter(request.query)
      if (typeof filter === 'string') return errorAnswer(request, 400, filter)
      const asked = await askAll<FlightsAnswer>(ask, { what: 'flights', failedOnly: filter.failedOnly }, request)
      if ('status' in asked) return asked
      const flights = selectFlights(mergeFlights(asked.answers.map(({ answer }) => answer)), filter)
      const missing = missingNote(asked.silent)
      const value = { flights, ...(asked.silent.length > 0 && { silentThreads: asked.silent }) }
      const none = filter.failedOnly ? 'no request has failed\n' : 'no requests yet\n'
      const text = () => (flights.length === 0 ? none : flights.map(flightText).join('')) + missing
      const content = async () =>
        (await import('./html/flights.ts')).flightsHtml(flights, filter, request.query, missing)
      return eitherAnswer(request, 'flights', value, text, 200, content)
    },
  }
}

export function mergeFlights(answers: readonly FlightsAnswer[]): FlightView[] {
  return answers.flatMap(({ flights }) => flights).sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
}
