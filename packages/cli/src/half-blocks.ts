import type { Picture } from "@kiln/diffusion";

/**
 * A picture as lines of text for terminals with 24-bit colour: each character is two pixels, one above the other.
 * @param columns the most characters a line may have
 */
export function halfBlocks(picture: Picture, columns: number): string[] {
  const width = Math.min(columns, picture.width);
  const height = Math.max(2, 2 * Math.round((picture.height * width) / picture.width / 2));
  const colour = (x: number, y: number): string => {
    const column = Math.floor((x * picture.width) / width);
    const row = Math.floor((y * picture.height) / height);
    return [...picture.data.subarray((row * picture.width + column) * 3, (row * picture.width + column) * 3 + 3)].join(";");
  };
  return Array.from({ length: height / 2 }, (_, line) => {
    const cells = Array.from({ length: width }, (_, x) => `\u001b[38;2;${colour(x, line * 2)};48;2;${colour(x, line * 2 + 1)}m▀`);
    return `${cells.join("")}\u001b[0m`;
  });
}
