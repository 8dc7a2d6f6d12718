/* CUDA's runtime library, hollow: memory is the machine's, kernels do nothing, and everything succeeds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int objects[1024];
static int count;
static void *object(void) { return &objects[count++ % 1024]; }

int cudaMalloc(void **p, size_t size) {
  *p = aligned_alloc(256, (size / 256 + 1) * 256);
  return 0;
}
int cudaHostAlloc(void **p, size_t size, unsigned flags) { return cudaMalloc(p, size); }
int cudaMallocHost(void **p, size_t size) { return cudaMalloc(p, size); }
int cudaMallocFromPoolAsync(void **p, size_t size, void *pool, void *stream) { return cudaMalloc(p, size); }
int cudaFree(void *p) { free(p); return 0; }
int cudaFreeHost(void *p) { free(p); return 0; }
int cudaFreeAsync(void *p, void *stream) { free(p); return 0; }
int cudaMemcpy(void *to, const void *from, size_t size, int kind) { memcpy(to, from, size); return 0; }
int cudaMemcpyAsync(void *to, const void *from, size_t size, int kind, void *stream) { memcpy(to, from, size); return 0; }
int cudaMemset(void *to, int value, size_t size) { memset(to, value, size); return 0; }
int cudaMemsetAsync(void *to, int value, size_t size, void *stream) { memset(to, value, size); return 0; }
int cudaMemGetInfo(size_t *free, size_t *total) { *free = *total = (size_t)64 << 30; return 0; }

int cudaGetDevice(int *device) { *device = 0; return 0; }
int cudaGetDeviceCount(int *devices) { *devices = 1; return 0; }
int cudaDriverGetVersion(int *version) { *version = 13000; return 0; }
int cudaRuntimeGetVersion(int *version) { *version = 13000; return 0; }
/* cudaDevAttrComputeCapabilityMajor and -Minor: 9.0. */
int cudaDeviceGetAttribute(int *value, int attribute, int device) { *value = attribute == 75 ? 9 : attribute == 76 ? 0 : 1024; return 0; }
/* cudaDeviceProp of CUDA 13: what stands behind the compute capability is taken to be large. */
int cudaGetDeviceProperties(char *properties, int device) {
  int *words = (int *)properties;
  memset(properties, 0, 1000);
  for (int i = 98; i < 250; i++) words[i] = 2048;
  strcpy(properties, "hollow");
  *(size_t *)(properties + 288) = (size_t)64 << 30; /* totalGlobalMem */
  *(size_t *)(properties + 296) = 49152;            /* sharedMemPerBlock */
  words[76] = 65536;                                /* regsPerBlock */
  words[77] = 32;                                   /* warpSize */
  words[80] = 1024;                                 /* maxThreadsPerBlock */
  words[81] = words[82] = 1024, words[83] = 64;     /* maxThreadsDim */
  words[84] = INT32_MAX, words[85] = words[86] = 65535; /* maxGridSize */
  words[90] = 9;                                    /* major */
  words[96] = words[97] = 132;                      /* multiProcessorCount */
  return 0;
}

int cudaStreamCreate(void **p) { *p = object(); return 0; }
int cudaStreamCreateWithFlags(void **p, unsigned flags) { *p = object(); return 0; }
int cudaStreamIsCapturing(void *stream, int *capturing) { *capturing = 0; return 0; }
int cudaStreamEndCapture(void *stream, void **graph) { *graph = object(); return 0; }
int cudaGraphInstantiate(void **p, void *graph, unsigned long long flags) { *p = object(); return 0; }
int cudaEventCreate(void **p) { *p = object(); return 0; }
int cudaEventCreateWithFlags(void **p, unsigned flags) { *p = object(); return 0; }
int cudaMemPoolCreate(void **p, void *properties) { *p = object(); return 0; }
int cudaMemPoolGetAttribute(void *pool, int attribute, size_t *value) { *value = 0; return 0; }
int cudaLibraryLoadData(void **p) { *p = object(); return 0; }
int cudaLibraryGetKernel(void **p) { *p = object(); return 0; }
int cudaFuncGetAttributes(void *attributes, const void *kernel) { memset(attributes, 0, 64); return 0; }
int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks) { *blocks = 1; return 0; }
int cudaPointerGetAttributes(int *attributes, const void *p) { memset(attributes, 0, 32); attributes[0] = 2; return 0; }
const char *cudaGetErrorString(int error) { return "none"; }
const char *cudaGetErrorName(int error) { return "none"; }
static int nothing(void) { return 0; }
int cudaGetDriverEntryPointByVersion(const char *name, void **p) { *p = (void *)nothing; return 0; }
void **__cudaRegisterFatBinary(void *binary) { return (void **)object(); }
