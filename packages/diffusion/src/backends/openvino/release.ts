/** The one release of OpenVINO that Kiln is written against: element type numbers and file names differ between releases. */
export const OPENVINO_VERSION = "2026.4.1";

/** The least set of libraries for the CPU, from the wheel of Linux x64, with their SHA-256; 83 MB of the wheel's 190. */
export const OPENVINO_LIBRARIES: ReadonlyMap<string, string> = new Map([
  ["libopenvino.so.2641", "9b9a80ac1f18e07b13ed54459d9a865bcfe9dc170dbf8fe740c2974b85ecedc1"],
  ["libopenvino_c.so.2641", "d2d0836d422b21fc5da2739af0d6035df3fc6dd5e4756402eb848974edecf8a5"],
  ["libopenvino_intel_cpu_plugin.so", "6599e3dd300d047b5ed72f8e48101c5f312c25321f35f57f803641ff8372900b"],
  ["libopenvino_ir_frontend.so.2641", "554e9fd3d4a0fbc587c14379464b2324e24b8ea736cfb749ad2cd9e74dfc09e0"],
  ["libtbb.so.12", "ac9518497a4f2cb6729792730f145ee58367316031511923fef263c9ac81ca61"],
  ["libtbbmalloc.so.2", "0cccbdb4783bf190da19b34540fb7f749b0955ec1982d7ac8e5f398365399895"],
  ["libtbbbind_2_5.so.3", "179ebd1223abd20a461dc978f24090d7ef7c1308b8dff14e4adfe4a21d75543f"],
  ["libhwloc.so.15", "e91be9f5bc1c87aadb08f2e19ebcb742979adda0a5434f72650a154e317e7fb1"],
]);
