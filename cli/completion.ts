import type { Command } from 'commander'

/** A command as completion needs it: made from the commands themselves, so that it cannot differ from them. */
export interface Entry {
  /** `config check`; empty for the program. */
  readonly path: string
  readonly description: string
  readonly words: readonly { readonly word: string; readonly description: string }[]
  readonly options: readonly Choice[]
  /** The possible arguments, where the command names them: `schema sidecar`. */
  readonly values: readonly string[]
}

interface Choice {
  readonly flags: readonly string[]
  readonly description: string
  readonly takesValue: boolean
  /** Empty: any value, such as a file. */
  readonly values: readonly string[]
}

const shells = { bash, zsh, fish }

export function addCompletionCommand(program: Command, everything: () => Promise<Command>): void {
  program
    .command('completion')
    .description('print a completion script for a shell')
    .addArgument(program.createArgument('<shell>').choices(Object.keys(shells)))
    .addHelpText(
      'after',
      `
Examples:
  outrigger completion bash > /etc/bash_completion.d/outrigger
  outrigger completion zsh > "\${fpath[1]}/_outrigger"
  outrigger completion fish > ~/.config/fish/completions/outrigger.fish`,
    )
    .action(async (shell: keyof typeof shells) => {
      process.stdout.write(shells[shell](entriesOf(await everything())))
    })
}

export function entriesOf(command: Command, path = ''): Entry[] {
  const below = command.commands.map(each => ({ word: each.name(), description: each.description() }))
  const values = command.registeredArguments.flatMap(argument => argument.argChoices ?? [])
  const own = { path, description: command.description(), words: below, options: optionsOf(command), values }
  return [own, ...command.commands.flatMap(each => entriesOf(each, `${path} ${each.name()}`.trim()))]
}

function optionsOf(command: Command): Choice[] {
  return [...command.options, command.createOption('-h, --help', 'print this help')]
    .filter(({ hidden }) => !hidden)
    .map(({ short, long, description, required, optional, argChoices }) => ({
      flags: [short, long].filter(flag => flag !== undefined && flag !== null),
      description,
      takesValue: required || optional,
      values: argChoices ?? [],
    }))
}

/** The path is the typed words that are commands, in order; after an option with a value comes its value. */
function cases(entries: readonly Entry[]): { readonly steps: string; readonly values: string; readonly words: string } {
  const steps = entries.flatMap(({ path, words }) => words.map(({ word }) => `"${`${path} ${word}`.trim()}"`)).join('|')
  const values = entries.flatMap(({ path, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .flatMap(({ flags, values: all }) =>
        flags.map(flag => `    "${path}:${flag}") found="${all.join(' ')}"; return ;;`),
      ),
  )
  const words = entries.map(({ path, words: below, options, values: own }) => {
    const flags = options.flatMap(option => option.flags).join(' ')
    const plain = [...below.map(({ word }) => word), ...own].join(' ')
    return `    "${path}") if [[ $current == -* ]]; then found="${flags}"; else found="${plain}"; fi ;;`
  })
  return { steps, values: values.join('\n'), words: words.join('\n') }
}

/** Sets `found`; empty: a file, or an unknown word. Both shells parse this. */
function finder(entries: readonly Entry[]): string {
  const { steps, values, words } = cases(entries)
  return `_outrigger_find() {
  local place="" word
  for word in "\${before[@]}"; do
    case "\${place:+$place }$word" in
      ${steps}) place="\${place:+$place }$word" ;;
    esac
  done
  found=""
  case "$place:$previous" in
${values}
  esac
  case "$place" in
${words}
  esac
}`
}

function bash(entries: readonly Entry[]): string {
  return `# bash completion for outrigger
${finder(entries)}

_outrigger() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" found
  local before=("\${COMP_WORDS[@]:1:COMP_CWORD-1}")
  _outrigger_find
  COMPREPLY=($(compgen -W "$found" -- "$current"))
}
complete -o default -F _outrigger outrigger
`
}

function zsh(entries: readonly Entry[]): string {
  return `#compdef outrigger
${finder(entries)}

_outrigger() {
  local current="\${words[CURRENT]}" previous="\${words[CURRENT-1]}" found
  local -a before
  before=("\${(@)words[2,CURRENT-1]}")
  _outrigger_find
  if [[ -n $found ]]; then compadd -- \${=found}; else _files; fi
}
if [[ \${funcstack[1]} == _outrigger ]]; then _outrigger "$@"; else compdef _outrigger outrigger; fi
`
}

function fish(entries: readonly Entry[]): string {
  const lines = entries.flatMap(({ path, words, options, values }) => {
    const steps = path.split(' ').filter(step => step !== '')
    const inside = steps.map(step => `__fish_seen_subcommand_from ${step}`)
    const outside =
      words.length > 0 ? [`not __fish_seen_subcommand_from ${words.map(({ word }) => word).join(' ')}`] : []
    const line = (rest: string, ...conditions: readonly string[]) =>
      `complete -c outrigger${conditions.length > 0 ? ` -n '${conditions.join('; and ')}'` : ''} ${rest}`
    return [
      ...words.map(({ word, description }) => line(`-f -a ${word} -d ${quoted(description)}`, ...inside, ...outside)),
      ...(values.length > 0 ? [line(`-f -a ${quoted(values.join(' '))}`, ...inside)] : []),
      ...options.map(option =>
        line(`${fishFlags(option)} -d ${quoted(option.description)}`, ...(steps.length === 0 ? outside : inside)),
      ),
    ]
  })
  return `# fish completion for outrigger\n${lines.join('\n')}\n`
}

function fishFlags({ flags, takesValue, values }: Choice): string {
  const names = flags.map(flag => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`))
  return [...names, takesValue ? (values.length > 0 ? `-x -a ${quoted(values.join(' '))}` : '-r') : '']
    .filter(part => part !== '')
    .join(' ')
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
