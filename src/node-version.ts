/** Says in one line which Node is needed, before anything fails in a less friendly way. Imports nothing. */
const needed = [22, 19] as const
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major < needed[0] || (major === needed[0] && minor < needed[1])) {
  throw new Error(`drained needs Node.js ${needed.join('.')} or newer; this is ${process.versions.node}`)
}
