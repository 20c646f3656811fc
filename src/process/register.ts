/** `node --import drained/register app.js`: puts a program that knows nothing of this library on it, before it starts. */
import '../node-version.ts'
import { installFrom } from './environment.ts'

installFrom(process.env)
