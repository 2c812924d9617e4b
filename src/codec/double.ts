/**
 * Doubles as the shortest decimal that reads back as the same double, never without `.` or `E`, so that they stay
 * distinguishable from integers: `1.0`, `0.1`, `-0.0`, `1.2345678921232E+18`. The form is that of the BSON corpus and
 * of mongoexport (Go's format 'G'): below 0.0001 and from 1E+06 on with an exponent of at least two digits.
 */

const view = new DataView(new ArrayBuffer(8));

/** The double at `at`, little-endian. */
export function readDouble(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < 8; i++) view.setUint8(i, bytes[at + i] as number);
  return view.getFloat64(0, true);
}

/** The most bytes that writeDouble writes: sign, 17 digits, point, `E-308`. */
export const DOUBLE_BYTES = 25;

/** Writes a finite double at `to` and returns where it stopped. */
export function writeDouble(out: Uint8Array, to: number, value: number): number {
  return writeAscii(out, to, textOf(value));
}

/** Copies ASCII text. */
export function writeAscii(out: Uint8Array, to: number, text: string): number {
  for (let i = 0; i < text.length; i++) out[to++] = text.charCodeAt(i);
  return to;
}

function textOf(value: number): string {
  const magnitude = Math.abs(value);
  if (magnitude >= 1e-4 && magnitude < 1e6) {
    const plain = String(value);
    return plain.includes(".") ? plain : `${plain}.0`;
  }
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [mantissa = "", exponent = ""] = value.toExponential().split("e");
  const power = Number(exponent);
  return `${mantissa}E${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}
