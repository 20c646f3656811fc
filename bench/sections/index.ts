/** The sections of `npm run bench`, in the order they run. */
import type { Section } from '../report.ts'
import { allocation } from './allocation.ts'
import { azure } from './azure.ts'
import { aws } from './aws.ts'
import { endless } from './endless.ts'
import { leaks } from './leaks.ts'
import { memory } from './memory.ts'
import { metrics } from './metrics.ts'
import { overhead } from './overhead.ts'
import { policies } from './policies.ts'
import { ports } from './ports.ts'
import { reports } from './reports.ts'
import { retries } from './retries.ts'
import { services } from './services.ts'
import { speed } from './speed.ts'
import { timewait } from './timewait.ts'
import { transfer } from './transfer.ts'

export const sections: Record<string, Section> = {
  leaks,
  endless,
  memory,
  timewait,
  ports,
  overhead,
  speed,
  transfer,
  allocation,
  policies,
  reports,
  metrics,
  retries,
  services,
  azure,
  aws,
}
