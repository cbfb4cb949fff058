// LD_PRELOAD fault injector: counts file-changing calls below a prefix; at the n-th it kills, tears, or fails.
// FAULT_PREFIX: the folder. FAULT_MODE: crash, torn, err, errfrom or count. FAULT_AT: the n. FAULT_ERRNO: the error.
// FAULT_ONLY: names of calls that count, such as "write rename". FAULT_LOG: a file for the calls that were counted.
// FAULT_NETWORK: a file for every connection and look-up beyond this machine, which then fails.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netdb.h>
#include <unistd.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static char prefix[PATH_MAX]; static size_t plen;
static atomic_long count; static long at = -1, upto = -1; static int mode; // 0 off 1 crash 2 torn 3 err 4 errfrom 5 count
static int err = EIO; static unsigned char tracked[65536]; static int logfd = -1; static char only[256];
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

void fault_set(long n, const char* m, int e) { at = n; err = e; atomic_store(&count, 0);
  mode = !strcmp(m,"crash")?1:!strcmp(m,"torn")?2:!strcmp(m,"err")?3:!strcmp(m,"errfrom")?4:!strcmp(m,"count")?5:0; }
long fault_count(void) { return atomic_load(&count); }
void fault_prefix(const char* p) { strncpy(prefix, p, PATH_MAX-1); plen = strlen(prefix); }
__attribute__((constructor)) static void init(void) {
  const char* p = getenv("FAULT_PREFIX"); if (p) fault_prefix(p);
  const char* m = getenv("FAULT_MODE"); const char* n = getenv("FAULT_AT"); const char* e = getenv("FAULT_ERRNO");
  const char* o = getenv("FAULT_ONLY"); if (o) strncpy(only, o, 255);
  if (m) fault_set(n ? atol(n) : -1, m, e ? atoi(e) : EIO);
  const char* l = getenv("FAULT_LOG"); if (l) logfd = syscall(SYS_openat, AT_FDCWD, l, O_WRONLY|O_CREAT|O_APPEND, 0644);
}
static int below(const char* path) {
  if (!plen || !path) return 0;
  char buf[PATH_MAX];
  if (path[0] != '/') { if (!getcwd(buf, sizeof buf)) return 0; size_t l = strlen(buf); snprintf(buf+l, sizeof buf - l, "/%s", path); path = buf; }
  return !strncmp(path, prefix, plen);
}
static int belowat(int dir, const char* path) {
  if (dir == AT_FDCWD || (path && path[0]=='/')) return below(path);
  char link[64], buf[PATH_MAX]; snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
  ssize_t l = readlink(link, buf, sizeof buf - 1); if (l < 0) return 0; buf[l] = 0;
  snprintf(buf+l, sizeof buf - l, "/%s", path ? path : ""); return below(buf);
}
// returns 1 if this op must fail with err; kills if crash
static int hit(const char* op, const char* path) {
  if (!mode) return 0;
  if (only[0] && !strstr(only, op)) return 0;
  long n = atomic_fetch_add(&count, 1) + 1;
  if (logfd >= 0) { char line[PATH_MAX+64]; int l = snprintf(line, sizeof line, "%ld %s %s\n", n, op, path ? path : ""); if (l>0) syscall(SYS_write, logfd, line, l); }
  if (mode == 1 && n == at) { kill(getpid(), SIGKILL); pause(); }
  if (mode == 2 && n == at) { if (strcmp(op,"write")) { kill(getpid(), SIGKILL); pause(); } return 2; }
  if (mode == 3 && n == at) return 1;
  if (mode == 4 && n >= at) return 1;
  return 0;
}
static void mark(int fd, int on) { if (fd >= 0 && fd < 65536) tracked[fd] = on; }
static int isit(int fd) { return fd >= 0 && fd < 65536 && tracked[fd]; }
static char* pathof(int fd, char* buf) { char link[64]; snprintf(link, sizeof link, "/proc/self/fd/%d", fd); ssize_t l = readlink(link, buf, PATH_MAX-1); if (l<0) l=0; buf[l]=0; return buf; }

#define OPENBODY(CALL, WHERE, P) \
  mode_t m = 0; if (flags & (O_CREAT|O_TMPFILE)) { va_list ap; va_start(ap, flags); m = va_arg(ap, int); va_end(ap); } \
  int w = ((flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT)) && WHERE; \
  if (w && hit("open", P) == 1) { errno = err; return -1; } \
  int fd = CALL; mark(fd, w); return fd;
int open(const char* p, int flags, ...) { OPENBODY(REAL(open)(p, flags, m), below(p), p) }
int open64(const char* p, int flags, ...) { OPENBODY(REAL(open64)(p, flags, m), below(p), p) }
int openat(int d, const char* p, int flags, ...) { OPENBODY(REAL(openat)(d, p, flags, m), belowat(d, p), p) }
int openat64(int d, const char* p, int flags, ...) { OPENBODY(REAL(openat64)(d, p, flags, m), belowat(d, p), p) }
FILE* fopen(const char* p, const char* how) { int w = strpbrk(how, "wa+") && below(p); if (w && hit("open", p)==1) { errno = err; return 0; } return REAL(fopen)(p, how); }
FILE* fopen64(const char* p, const char* how) { int w = strpbrk(how, "wa+") && below(p); if (w && hit("open", p)==1) { errno = err; return 0; } return REAL(fopen64)(p, how); }
ssize_t write(int fd, const void* b, size_t n) { if (isit(fd)) { char x[PATH_MAX]; int h = hit("write", pathof(fd,x)); if (h==1) { errno = err; return -1; }
   if (h==2) { REAL(write)(fd, b, n/2); kill(getpid(), SIGKILL); pause(); } } return REAL(write)(fd, b, n); }
ssize_t writev(int fd, const struct iovec* v, int c) { if (isit(fd)) { char x[PATH_MAX]; if (hit("write", pathof(fd,x))==1) { errno = err; return -1; } } return REAL(writev)(fd, v, c); }
ssize_t pwrite(int fd, const void* b, size_t n, off_t o) { if (isit(fd)) { char x[PATH_MAX]; if (hit("write", pathof(fd,x))==1) { errno = err; return -1; } } return REAL(pwrite)(fd, b, n, o); }
ssize_t pwrite64(int fd, const void* b, size_t n, off64_t o) { if (isit(fd)) { char x[PATH_MAX]; if (hit("write", pathof(fd,x))==1) { errno = err; return -1; } } return REAL(pwrite64)(fd, b, n, o); }
int ftruncate(int fd, off_t l) { if (isit(fd)) { char x[PATH_MAX]; if (hit("trunc", pathof(fd,x))==1) { errno = err; return -1; } } return REAL(ftruncate)(fd, l); }
int ftruncate64(int fd, off64_t l) { if (isit(fd)) { char x[PATH_MAX]; if (hit("trunc", pathof(fd,x))==1) { errno = err; return -1; } } return REAL(ftruncate64)(fd, l); }
int fsync(int fd) { if (isit(fd)) { char x[PATH_MAX]; if (hit("fsync", pathof(fd,x))==1) { errno = err; return -1; } } return REAL(fsync)(fd); }
int close(int fd) { mark(fd, 0); return REAL(close)(fd); }
int rename(const char* a, const char* b) { if ((below(a)||below(b)) && hit("rename", b)==1) { errno = err; return -1; } return REAL(rename)(a, b); }
int renameat(int d, const char* a, int e, const char* b) { if ((belowat(d,a)||belowat(e,b)) && hit("rename", b)==1) { errno = err; return -1; } return REAL(renameat)(d, a, e, b); }
int unlink(const char* a) { if (below(a) && hit("unlink", a)==1) { errno = err; return -1; } return REAL(unlink)(a); }
int unlinkat(int d, const char* a, int f) { if (belowat(d,a) && hit("unlink", a)==1) { errno = err; return -1; } return REAL(unlinkat)(d, a, f); }
int mkdir(const char* a, mode_t m) { if (below(a) && hit("mkdir", a)==1) { errno = err; return -1; } return REAL(mkdir)(a, m); }
int mkdirat(int d, const char* a, mode_t m) { if (belowat(d,a) && hit("mkdir", a)==1) { errno = err; return -1; } return REAL(mkdirat)(d, a, m); }
int rmdir(const char* a) { if (below(a) && hit("rmdir", a)==1) { errno = err; return -1; } return REAL(rmdir)(a); }

// ---- connections
static void report(const char* what) {
  const char* p = getenv("FAULT_NETWORK"); if (!p) return;
  int f = syscall(SYS_openat, AT_FDCWD, p, O_WRONLY|O_CREAT|O_APPEND, 0644); if (f < 0) return;
  syscall(SYS_write, f, what, strlen(what)); syscall(SYS_write, f, "\n", 1); syscall(SYS_close, f);
}
static int outside(const struct sockaddr* a) {
  if (!getenv("FAULT_NETWORK") || !a) return 0;
  if (a->sa_family == AF_INET) return (ntohl(((const struct sockaddr_in*)a)->sin_addr.s_addr) >> 24) != 127;
  if (a->sa_family == AF_INET6) return !IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6*)a)->sin6_addr);
  return 0;
}
int connect(int s, const struct sockaddr* a, socklen_t l) { if (outside(a)) { report("connect"); errno = ENETUNREACH; return -1; } return REAL(connect)(s, a, l); }
ssize_t sendto(int s, const void* b, size_t n, int f, const struct sockaddr* a, socklen_t l) {
  if (outside(a)) { report("sendto"); errno = ENETUNREACH; return -1; } return REAL(sendto)(s, b, n, f, a, l); }
int getaddrinfo(const char* node, const char* service, const struct addrinfo* hints, struct addrinfo** found) {
  if (getenv("FAULT_NETWORK") && node && strcmp(node, "localhost") && strncmp(node, "127.", 4) && strcmp(node, "::1")) {
    char line[512]; snprintf(line, sizeof line, "getaddrinfo %s", node); report(line); return EAI_FAIL; }
  return REAL(getaddrinfo)(node, service, hints, found); }
