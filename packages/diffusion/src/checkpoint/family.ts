/** The architectures that Kiln draws with, by what their networks are made of; SD 1.5's fine-tunes are of its family. */
export type Family = "sdxl" | "sdxl-refiner" | "sd15";
