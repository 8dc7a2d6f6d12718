/** Resolves when the promise does or when the time is over, and leaves no timer behind. */
export async function raceWithTime(promise: Promise<void>, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const time = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([promise, time]);
  clearTimeout(timer);
}
