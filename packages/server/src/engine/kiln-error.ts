/** An error with the code and the shape of the diffusion library's, for engines and processes that do not load the library. */
export class KilnError extends Error {
  override readonly name = "KilnError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}
