/** One HTTP client for storage-queue, which still asks in the older shape, and for data-tables: a job is queued, done and recorded. */
import { TableClient } from '@azure/data-tables'
import { QueueServiceClient } from '@azure/storage-queue'
import { azureHttpClient } from '../src/adapters/azure.ts'
import { createClient } from '../src/index.ts'
import { storage } from './support/azurite.ts'

const account = await storage()
const client = createClient({ name: 'storage', connections: 16 })
const httpClient = azureHttpClient(client)
const name = `example${Date.now()}`
const queue = QueueServiceClient.fromConnectionString(account.connectionString, {
  httpClient,
}).getQueueClient(name)
const table = TableClient.fromConnectionString(account.connectionString, name, {
  httpClient,
  allowInsecureConnection: account.isLocal,
})
await Promise.all([queue.create(), table.createTable()])

for (const job of ['one', 'two', 'three']) await queue.sendMessage(job)
for (;;) {
  const { receivedMessageItems } = await queue.receiveMessages({ numberOfMessages: 2 })
  if (receivedMessageItems.length === 0) break
  for (const { messageId, messageText, popReceipt } of receivedMessageItems) {
    await table.upsertEntity({ partitionKey: 'jobs', rowKey: messageText, length: messageText.length })
    await queue.deleteMessage(messageId, popReceipt)
  }
}
for await (const { rowKey, length } of table.listEntities<{ length: number }>())
  console.log(`${rowKey}: ${length}`)
const { opened, reused } = client.stats().sockets
console.log(`${reused + opened} requests, ${opened <= 4 ? 'at most 4' : opened} connections`)
await Promise.all([queue.delete(), table.deleteTable()])
await client.close()
await account[Symbol.asyncDispose]()
