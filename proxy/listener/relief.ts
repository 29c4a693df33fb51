import { add, type Counter } from '../core/telemetry.ts'

/** What the listeners of an overloaded data thread do, as its overload manager says. */
export class Relief {
  /** Connections end after their next answer. */
  closes = false
  /** New connections are closed at once. */
  refuses = false
  readonly #refused: Counter
  readonly #listeners = new Set<{ relieve(): void }>()

  constructor(refused: Counter) {
    this.#refused = refused
  }

  begin(action: 'close' | 'refuse', isOn: boolean): void {
    if (action === 'refuse') this.refuses = isOn
    else {
      this.closes = isOn
      if (isOn) for (const listener of this.#listeners) listener.relieve()
    }
  }

  /** True: a connection was refused, and is counted. */
  refuse(): boolean {
    if (this.refuses) add(this.#refused, 1)
    return this.refuses
  }

  add(listener: { relieve(): void }): void {
    this.#listeners.add(listener)
  }

  delete(listener: { relieve(): void }): void {
    this.#listeners.delete(listener)
  }
}
