import { existsSync } from "node:fs";
import { vulkanDevices } from "../backends/webgpu/vulkan.ts";

/**
 * Programs that act as a card, by their drivers' files: Mesa's llvmpipe, which knows float16, then Chromium's SwiftShader, as
 * Debian's and Playwright's packages name them.
 */
const DRIVERS = [
  "/usr/share/vulkan/icd.d/lvp_icd.json",
  "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json",
  "/usr/lib/chromium/vk_swiftshader_icd.json",
  "/usr/lib/chromium-browser/vk_swiftshader_icd.json",
];

/**
 * Has this process's Vulkan see the first such program that WebGPU can use, and nothing else: a test then does not depend on
 * the card that somebody has. A driver that was named already stays, and where there is no program all stays as it is.
 */
export function takeSoftwareDriver(): void {
  if (process.env.VK_ICD_FILENAMES !== undefined) return;
  for (const driver of DRIVERS.filter((path) => existsSync(path))) {
    process.env.VK_ICD_FILENAMES = driver;
    if (isUsable()) return;
  }
  delete process.env.VK_ICD_FILENAMES;
}

function isUsable(): boolean {
  try {
    return vulkanDevices().some(({ indexesArrays }) => indexesArrays);
  } catch {
    // Without Vulkan's loader there is nothing to see.
    return false;
  }
}
