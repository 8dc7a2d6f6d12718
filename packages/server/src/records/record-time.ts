const FIRST = Date.parse("0001-01-01T00:00:00Z");
/** A year before JavaScript begins to write years in a form of its own: the end of a day is asked for as the day after. */
const LAST = Date.parse("9998-12-31T23:59:59.999Z");

/** Whether a moment can be asked of the records: PostgreSQL has no year 0 and reads no years of more than four digits. */
export function isRecordTime(time: Date): boolean {
  return time.getTime() >= FIRST && time.getTime() <= LAST;
}
