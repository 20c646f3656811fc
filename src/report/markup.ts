/** HTML out of values: whatever is put into {@link html} is text, unless it was made by it. Pure. */

/** Made by {@link html}, so nothing in it has to be escaped. */
export class Markup {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

type Value = string | number | Markup | readonly Markup[]

/** A template whose values become text: `html\`<b>${name}</b>\``. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Markup {
  let text = parts[0] ?? ''
  for (const [i, value] of values.entries()) text += show(value) + (parts[i + 1] ?? '')
  return new Markup(text)
}

function show(value: Value): string {
  if (value instanceof Markup) return value.text
  if (typeof value === 'object') return value.map(({ text }) => text).join('')
  return escapeHtml(String(value))
}

/**
 * Text for an element or a quoted attribute. Characters that cannot be seen, or that turn the writing around, are shown by their
 * number, so that nothing can look like something else.
 */
export function escapeHtml(text: string): string {
  return text
    .replace(
      // eslint-disable-next-line no-control-regex
      /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
      (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
    .replace(/[&<>"'`]/g, (sign) => `&#${sign.charCodeAt(0)};`)
}
