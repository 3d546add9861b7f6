/* Preloaded into a process under test: journals what it does to the files of one folder, and fails chosen calls.

   Inert until disk_begin. Each record is a header, a path and data; disk_replay.py reads them. The journal is in the
   order of the calls, since a call and its record are under one lock. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { OPENED = 1, CLOSED, WRITTEN, CUT, SYNCED, NOT_SYNCED, REMOVED, RENAMED, MADE };
enum { FAIL_SYNC = 1, FAIL_WRITE = 2 };
#define FILES 4096
/* What the child says of its events; the oracle's own file, which no fault may hit. */
#define SAID "/SAID"

struct __attribute__((packed)) header {
    uint32_t kind, file, flags, path_size, data_size;
    uint64_t offset;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[1024];
static int journal = -1;
static unsigned char seen[FILES]; /* 1: followed, 2: followed and may fail */
static long calls[3], fail_first[3], fail_count[3];
static int fail_errno[3];

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static void put(const void *data, size_t size) {
    REAL(write);
    const char *at = data;
    while (size > 0) {
        ssize_t done = real(journal, at, size);
        if (done <= 0) _exit(97); /* a journal with a hole must never be replayed */
        at += done;
        size -= done;
    }
}

static void note(uint32_t kind, int file, uint32_t flags, uint64_t offset, const char *path, const void *data,
                 size_t size) {
    int before = errno;
    struct header head = {kind, (uint32_t)file, flags, path ? strlen(path) : 0, (uint32_t)size, offset};
    put(&head, sizeof head);
    if (path) put(path, head.path_size);
    if (size) put(data, size);
    errno = before;
}

static int is_ours(const char *path) {
    size_t size = strlen(folder);
    return journal >= 0 && size && path && !strncmp(path, folder, size) && (path[size] == '/' || !path[size]);
}

static int followed(int file) { return journal >= 0 && file >= 0 && file < FILES ? seen[file] : 0; }

static int fails(int kind, int file) {
    if (followed(file) != 2) return 0;
    long number = ++calls[kind];
    return fail_count[kind] && number >= fail_first[kind] && number < fail_first[kind] + fail_count[kind];
}

void disk_begin(const char *where, const char *journal_path) {
    pthread_mutex_lock(&lock);
    REAL(open);
    if (journal >= 0) close(journal);
    journal = -1;
    strncpy(folder, where, sizeof folder - 1);
    memset(seen, 0, sizeof seen);
    memset(calls, 0, sizeof calls);
    memset(fail_count, 0, sizeof fail_count);
    if (*journal_path) journal = real(journal_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    pthread_mutex_unlock(&lock);
}

void disk_fail(int kind, long first, long count, int code) {
    pthread_mutex_lock(&lock);
    calls[kind] = 0;
    fail_first[kind] = first;
    fail_count[kind] = count;
    fail_errno[kind] = code;
    pthread_mutex_unlock(&lock);
}

long disk_calls(int kind) { return calls[kind]; }

static int opened(int file, const char *path, int flags) {
    if (file >= 0 && file < FILES) {
        size_t size = strlen(path), end = strlen(SAID);
        seen[file] = size > end && !strcmp(path + size - end, SAID) ? 1 : 2;
        note(OPENED, file, (uint32_t)flags, 0, path, NULL, 0);
    }
    return file;
}

#define OPEN(name)                                                                     \
    int name(const char *path, int flags, ...) {                                       \
        REAL(name);                                                                    \
        va_list rest;                                                                  \
        va_start(rest, flags);                                                         \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;                      \
        va_end(rest);                                                                  \
        if (!is_ours(path)) return real(path, flags, mode);                            \
        pthread_mutex_lock(&lock);                                                     \
        int file = opened(real(path, flags, mode), path, flags);                       \
        pthread_mutex_unlock(&lock);                                                   \
        return file;                                                                   \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                   \
    int name(int from, const char *path, int flags, ...) {                             \
        REAL(name);                                                                    \
        va_list rest;                                                                  \
        va_start(rest, flags);                                                         \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;                      \
        va_end(rest);                                                                  \
        if (!is_ours(path)) return real(from, path, flags, mode);                      \
        pthread_mutex_lock(&lock);                                                     \
        int file = opened(real(from, path, flags, mode), path, flags);                 \
        pthread_mutex_unlock(&lock);                                                   \
        return file;                                                                   \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int file) {
    REAL(close);
    if (!followed(file)) return real(file);
    pthread_mutex_lock(&lock);
    seen[file] = 0;
    note(CLOSED, file, 0, 0, NULL, NULL, 0);
    int result = real(file);
    pthread_mutex_unlock(&lock);
    return result;
}

static ssize_t wrote(int file, const void *data, ssize_t done, off_t offset) {
    if (done > 0) note(WRITTEN, file, 0, (uint64_t)offset, NULL, data, (size_t)done);
    return done;
}

ssize_t write(int file, const void *data, size_t size) {
    REAL(write);
    if (!followed(file)) return real(file, data, size);
    pthread_mutex_lock(&lock);
    ssize_t done = -1;
    if (fails(FAIL_WRITE, file)) {
        errno = fail_errno[FAIL_WRITE];
    } else {
        off_t at = lseek(file, 0, fcntl(file, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
        done = wrote(file, data, real(file, data, size), at);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

#define PWRITE(name, type)                                                             \
    ssize_t name(int file, const void *data, size_t size, type offset) {               \
        REAL(name);                                                                    \
        if (!followed(file)) return real(file, data, size, offset);                    \
        pthread_mutex_lock(&lock);                                                     \
        ssize_t done = -1;                                                             \
        if (fails(FAIL_WRITE, file)) {                                                 \
            errno = fail_errno[FAIL_WRITE];                                            \
        } else {                                                                       \
            done = wrote(file, data, real(file, data, size, offset), offset);          \
        }                                                                              \
        pthread_mutex_unlock(&lock);                                                   \
        return done;                                                                   \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define CUT_TO(name, type)                                                             \
    int name(int file, type size) {                                                    \
        REAL(name);                                                                    \
        if (!followed(file)) return real(file, size);                                  \
        pthread_mutex_lock(&lock);                                                     \
        int result = real(file, size);                                                 \
        if (!result) note(CUT, file, 0, (uint64_t)size, NULL, NULL, 0);                \
        pthread_mutex_unlock(&lock);                                                   \
        return result;                                                                 \
    }
CUT_TO(ftruncate, off_t)
CUT_TO(ftruncate64, off64_t)

/* The real one is not called: nothing here loses its power, and the replay is what takes it away. */
#define SYNC(name)                                                                     \
    int name(int file) {                                                               \
        REAL(name);                                                                    \
        if (!followed(file)) return real(file);                                        \
        pthread_mutex_lock(&lock);                                                     \
        int result = fails(FAIL_SYNC, file) ? -1 : 0;                                  \
        note(result ? NOT_SYNCED : SYNCED, file, 0, 0, NULL, NULL, 0);                 \
        if (result) errno = fail_errno[FAIL_SYNC];                                     \
        pthread_mutex_unlock(&lock);                                                   \
        return result;                                                                 \
    }
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path) {
    REAL(unlink);
    if (!is_ours(path)) return real(path);
    pthread_mutex_lock(&lock);
    int result = real(path);
    if (!result) note(REMOVED, 0, 0, 0, path, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int rename(const char *from, const char *to) {
    REAL(rename);
    if (!is_ours(from)) return real(from, to);
    pthread_mutex_lock(&lock);
    int result = real(from, to);
    if (!result) note(RENAMED, 0, 0, 0, from, to, strlen(to));
    pthread_mutex_unlock(&lock);
    return result;
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    if (!is_ours(path)) return real(path, mode);
    pthread_mutex_lock(&lock);
    int result = real(path, mode);
    if (!result) note(MADE, 0, 0, 0, path, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}
