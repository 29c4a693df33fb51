import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatSize, guessSize, parseSize, sizeBytes, sizePattern } from '../../mesh-config/size.ts'

describe('sizes', () => {
  test.each([
    ['0', 0],
    ['512B', 512],
    ['64KiB', 65_536],
    ['1MiB', 1_048_576],
    ['2GiB', 2_147_483_648],
  ])('%s is %i bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes)
  })

  test.each(['', '64', '64kb', '64KB', '1.5MiB', '-1B', 'KiB', '1 KiB', '99999999999GiB'])('%j is not one', text => {
    expect(parseSize(text)).toBeNull()
    expect(() => sizeBytes(text)).toThrow()
  })

  test('any number of bytes can be written and read back', () => {
    fc.assert(fc.property(fc.maxSafeNat(), bytes => parseSize(formatSize(bytes)) === bytes))
    fc.assert(
      fc.property(
        fc.nat(1024),
        fc.constantFrom('B', 'KiB', 'MiB', 'GiB'),
        (count, unit) => sizeBytes(formatSize(sizeBytes(`${count}${unit}`))) === sizeBytes(`${count}${unit}`),
      ),
    )
  })

  test('the pattern given to editors accepts what the parser accepts', () => {
    const pattern = new RegExp(sizePattern)
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9KMGiB ]{0,7}$/), text => (parseSize(text) !== null) === pattern.test(text)),
    )
  })

  test.each([
    ['64kb', '64KiB'],
    ['1 M', '1MiB'],
    [4096, '4KiB'],
    ['1.5MiB', '1536KiB'],
    ['100 bytes', '100B'],
  ])('%j probably meant %s', (input, meant) => {
    expect(guessSize(input)).toBe(meant)
  })

  test.each(['large', '-1', '', '1TiB'])('%j is anyone’s guess', input => {
    expect(guessSize(input)).toBeNull()
  })
})
