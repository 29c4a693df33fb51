/**
 * A turn is one entry of the event loop into the data plane: bytes read, a timer fired, a connection made. What is put
 * off to its end runs then, so a head and the first bytes of its body leave in one write, and all frames of a connection
 * in another. proxy/system/ brackets each entry.
 */
export interface TurnTask {
  /** Called once at the end of the turn in which the task was put off. */
  turnEnded(): void
}

/**
 * A round is all turns of one wake-up of the event loop: when many connections have something to say at once, each is a
 * turn. What goes out on a connection that they share leaves in one write when it waits for the end of the round.
 */
export interface RoundTask {
  /** Called once at the end of the round in which the task was put off. */
  roundEnded(): void
}

/** A writer whose bytes lie in the scratch buffer that all wires of a thread share: one at a time. */
export interface Gatherer {
  /** Writes them, because another one needs the buffer. */
  flush(): void
}

/** Calls `run` once, when what the event loop woke up for is done. */
export type WhenRoundEnds = (run: () => void) => void

const resolved = Promise.resolve()
/** Room for more tasks is given back. */
const MOST_KEPT = 1024

/** The turns of one data thread: whatever has a wire finds them there. */
export class Turns {
  /** Null: nothing is gathered. */
  gatherer: Gatherer | null = null
  #depth = 0
  /** Of this turn, once somebody has asked; 0: nobody has. */
  #time = 0
  /** As far as `#waiting`: an array that is emptied grows anew. */
  #tasks: (TurnTask | null)[] = []
  #waiting = 0
  #roundTasks: RoundTask[] = []
  readonly #whenRoundEnds: WhenRoundEnds | null
  readonly #runTasks = () => {
    this.#time = 0
    this.#run()
  }
  readonly #runRoundTasks = () => this.#runRound()

  /** Null: each turn is a round. */
  constructor(whenRoundEnds: WhenRoundEnds | null) {
    this.#whenRoundEnds = whenRoundEnds
  }

  /** Once per turn and task: the caller keeps the flag that it is queued. */
  atEnd(task: TurnTask): void {
    this.#tasks[this.#waiting++] = task
    // Outside any turn (after an await) the end of the microtask queue is the end of the turn.
    if (this.#depth === 0 && this.#waiting === 1) resolved.then(this.#runTasks)
  }

  enter(): void {
    if (this.#depth++ === 0) this.#time = 0
  }

  /** All that happens in a turn happens at one time: `look` is asked once. Outside of turns it is asked each time. */
  now(look: () => number): number {
    if (this.#depth === 0) return look()
    if (this.#time === 0) this.#time = look()
    return this.#time
  }

  /** How long ago the time of this turn was; 0 outside of turns. */
  elapsed(look: () => number): number {
    return this.#depth === 0 || this.#time === 0 ? 0 : look() - this.#time
  }

  leave(): void {
    if (--this.#depth === 0 && this.#waiting !== 0) this.#run()
  }

  #run(): void {
    // A task may put off another one: that one still belongs to this turn. So does a turn inside a task, which must not
    // run the tasks again.
    const tasks = this.#tasks
    this.#depth++
    for (let i = 0; i < this.#waiting; i++) {
      const task = tasks[i]!
      tasks[i] = null
      task.turnEnded()
    }
    this.#depth--
    this.#waiting = 0
    if (tasks.length > MOST_KEPT) this.#tasks = []
  }

  /** Once per round and task: the caller keeps the flag that it is queued. */
  atRoundEnd(task: RoundTask): void {
    if (this.#whenRoundEnds === null) return task.roundEnded()
    this.#roundTasks.push(task)
    if (this.#roundTasks.length === 1) this.#whenRoundEnds(this.#runRoundTasks)
  }

  #runRound(): void {
    const ended = this.#roundTasks
    this.#roundTasks = []
    this.enter()
    for (let i = 0; i < ended.length; i++) ended[i]!.roundEnded()
    this.leave()
  }
}
