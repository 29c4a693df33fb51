import { loadTexts } from '../mesh-config/load-snapshot.ts'
import { annotation } from './names.ts'
import { podVariables } from './parts.ts'

/** What the sidecar will find in its environment. */
const environment = { ...Object.fromEntries(Object.keys(podVariables).map(name => [name, '10.0.0.1'])), HOME: '/' }

/** Why the sidecar would refuse its file; empty: it will not. */
export async function checkFile(file: string): Promise<string[]> {
  const loaded = await loadTexts([{ file: annotation.file, text: file }], environment)
  // There is no line of the pod's manifest for what was put together.
  return loaded.ok ? [] : loaded.errors.map(error => error.replace(/:\d+:\d+:/, ':'))
}
