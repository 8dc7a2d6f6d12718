/** Limits on what a stranger sends, each with its reason; docs/limits.md has them all. */

/** CLIP reads 77 tokens a window; 10,000 characters are some 30 windows, more than any prompt in use. */
export const MAX_PROMPT_CHARACTERS = 10_000;
/** SDXL is trained near 1024²; above 2048 on a side the pictures repeat themselves and memory grows with the square. */
export const MAX_SIDE = 2048;
export const MIN_SIDE = 64;
/** How far the sampler's noise may be from the seed: A1111's own random seeds end there. */
export const MAX_SEED_DELTA = 2 ** 32;
/** A second pass enlarges; 4096² is what memory for one picture's decoding is planned for, and the most that is read back. */
export const MAX_HIRES_SIDE = 4096;
/** The VAE halves the sides three times. */
export const SIDE_MULTIPLE = 8;
/** No sampler gains from more; it bounds how long one request holds a slot. */
export const MAX_STEPS = 150;
export const MAX_PICTURES = 8;
export const MAX_LORAS = 8;
export const MAX_CONTROLS = 4;
/** Each takes at least one of the prompt's 75 tokens a window; nobody's prompt names so many. */
export const MAX_EMBEDDINGS = 16;
/** A JSON body may hold a few pictures in base64: 4 controls, an image and a mask of 8 MB each. */
export const MAX_BODY_BYTES = 64 * 1024 * 1024;
/** One uploaded file; a 4096² PNG of noise is 48 MB. */
export const MAX_UPLOAD_BYTES = 50 * 1024 * 1024;
/** Pixels of a picture that is sent: 4096². Decoding takes memory in proportion to this, not to the file. */
export const MAX_INPUT_PIXELS = 4096 * 4096;
/** Softer edges are none, and the work grows with it. */
export const MAX_MASK_BLUR = 64;
/** Of what is drawn around a mask; A1111's page ends at 256. */
export const MAX_MASK_PADDING = 256;
export const MAX_BATCH_REQUESTS = 100;
export const MAX_TAGS = 32;
export const MAX_LIST = 200;
/** Longer than any queue should make somebody wait; also keeps deadlines inside the timers' range. */
export const MAX_DEADLINE_SECONDS = 7 * 24 * 3600;
/** Runs of one job, whatever the reason of each failure, before it is failed for good. */
export const MAX_ATTEMPTS = 4;
/** Engine processes that may die with a job in flight before the job is set aside. */
export const MAX_ENGINE_DEATHS = 2;
