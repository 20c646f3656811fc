/** Every option: its type, unit, default (with the reason for it) and check. No file but those in options/ has a default. */
export * from './options/agent.ts'
export * from './options/clients.ts'
export * from './options/limits.ts'
export * from './options/process.ts'
export * from './options/services.ts'
