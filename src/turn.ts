/** The end of a turn of the event loop: one immediate for all who wait for it, since one for each would cost more than they do. */

export interface TurnTask {
  onTurnEnd(): void
}

let tasks: TurnTask[] = []

function runTasks(): void {
  const due = tasks
  tasks = []
  for (const task of due) task.onTurnEnd()
}

/** Calls `task.onTurnEnd()` when everything that is under way now has been done. */
export function atTurnEnd(task: TurnTask): void {
  if (tasks.push(task) === 1) setImmediate(runTasks)
}
