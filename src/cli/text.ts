/** Text for a terminal: aligned columns, wrapped sentences, sparklines. Colour only where standard output is a terminal and NO_COLOR is not set. */
import { styleText } from 'node:util'

export type Colour = 'red' | 'yellow' | 'green' | 'dim' | 'bold'

/** Coloured if standard output takes it. */
export const paint = (colour: Colour, text: string): string =>
  styleText(colour, text, { stream: process.stdout })

/** The first column to the left, all others to the right; two spaces between. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.length)))
  return rows.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}

/** Lines of at most `width` characters, where words allow it. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

const blocks = '▁▂▃▄▅▆▇█'

/** One sign per value, from zero to the largest of them. */
export function sparkline(values: readonly number[]): string {
  const most = Math.max(1, ...values)
  return values.map((value) => blocks[Math.round((value / most) * (blocks.length - 1))] ?? ' ').join('')
}

/** Signs in a line; sentences of more than 100 are hard to read, whatever the terminal has room for. */
export const lineWidth = (): number => Math.min(100, process.stdout.columns || 100)
