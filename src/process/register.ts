/** `node --import drained/register app.js`: puts a program that knows nothing of this library on it, before it starts. */
import '../node-version.ts'
import { installFrom } from './environment.ts'

// From outside: a program with options of its own knows nothing of it.
installFrom(process.env, {})
