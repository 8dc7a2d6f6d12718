/* NVIDIA's driver, cuBLAS and cuDNN, hollow: whatever is created is one object, and everything succeeds. */
#include <stddef.h>
#include <string.h>

static int object[64];

int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "hollow", length); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = (size_t)64 << 30; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = attribute == 75 ? 9 : 0; return 0; }

int cublasCreate_v2(void **p) { *p = object; return 0; }
int cublasGetMathMode(void *handle, int *mode) { *mode = 0; return 0; }
const char *cublasGetStatusName(int status) { return "none"; }
const char *cublasGetStatusString(int status) { return "none"; }
int cublasLtCreate(void **p) { *p = object; return 0; }
int cublasLtMatmulDescCreate(void **p) { *p = object; return 0; }
int cublasLtMatmulPreferenceCreate(void **p) { *p = object; return 0; }
int cublasLtMatrixLayoutCreate(void **p) { *p = object; return 0; }

size_t cudnnGetVersion(void) { return 91400; }
size_t cudnnGetCudartVersion(void) { return 13000; }
const char *cudnnGetErrorString(int status) { return "none"; }
void cudnnGetLastErrorString(char *message, size_t length) { if (length) message[0] = 0; }
int cudnnCreate(void **p) { *p = object; return 0; }
