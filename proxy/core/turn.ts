/**
 * A turn is one entry of the event loop into the data plane: bytes read, a timer fired, a connection made. What is put
 * off with `atTurnEnd` runs when the turn ends, so a head and the first bytes of its body leave in one write, and all
 * frames of a connection in another. proxy/system/ brackets each entry.
 */
export interface TurnTask {
  /** Called once at the end of the turn in which the task was put off. */
  turnEnded(): void
}

let depth = 0
let tasks: TurnTask[] = []
const resolved = Promise.resolve()

/** Once per turn and task: the caller keeps the flag that it is queued. */
export function atTurnEnd(task: TurnTask): void {
  tasks.push(task)
  // Outside any turn (after an await) the end of the microtask queue is the end of the turn.
  if (depth === 0 && tasks.length === 1) resolved.then(runTasks)
}

export function enterTurn(): void {
  depth++
}

export function leaveTurn(): void {
  if (--depth === 0 && tasks.length !== 0) runTasks()
}

function runTasks(): void {
  // A task may put off another one: that one still belongs to this turn. So does a turn inside a task, which must not
  // run the tasks again.
  depth++
  for (let i = 0; i < tasks.length; i++) tasks[i]!.turnEnded()
  depth--
  if (tasks.length > 1024) tasks = []
  else tasks.length = 0
}

/**
 * A round is all turns of one wake-up of the event loop: when many connections have something to say at once, each is a
 * turn. What goes out on a connection that they share leaves in one write when it waits for the end of the round.
 */
export interface RoundTask {
  /** Called once at the end of the round in which the task was put off. */
  roundEnded(): void
}

let roundTasks: RoundTask[] = []
/** Null: nobody says when a round ends, and each turn is one. */
let whenRoundEnds: ((run: () => void) => void) | null = null

/** `next` calls once, when what the event loop woke up for is done. */
export function bracketRounds(next: (run: () => void) => void): void {
  whenRoundEnds = next
}

/** Once per round and task: the caller keeps the flag that it is queued. */
export function atRoundEnd(task: RoundTask): void {
  if (whenRoundEnds === null) return task.roundEnded()
  roundTasks.push(task)
  if (roundTasks.length === 1) whenRoundEnds(runRoundTasks)
}

function runRoundTasks(): void {
  const ended = roundTasks
  roundTasks = []
  enterTurn()
  for (let i = 0; i < ended.length; i++) ended[i]!.roundEnded()
  leaveTurn()
}
