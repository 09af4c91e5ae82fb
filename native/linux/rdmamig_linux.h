#ifndef RDMAMIG_LINUX_H
#define RDMAMIG_LINUX_H

#include <stdint.h>

#define RDMAMIG_EXPORT __attribute__((visibility("default")))

/* A mapped range that is registered with a userfaultfd for write protection, and the bits of its pages of 4 KiB. A bit of
 * words is one page; a bit of summary is one of words that may not be zero. */
struct rdmamig_tracked_range {
	uint64_t start;
	uint64_t end;
	uint64_t page_size;
	uint64_t *words;
	uint64_t *summary;
};

/* What the thread shares with its owner, who reads it at any time. */
struct rdmamig_write_faults {
	uint64_t sequence; /* odd while pages are unprotected whose bits may not be set yet */
	uint64_t faults;
	int64_t error;     /* an errno: the thread gave up, and all ranges are unregistered */
};

struct rdmamig_write_fault_thread;

/* Starts a thread that unprotects pages when they are written and sets their bits. ranges and shared stay where they are
 * until it is stopped. Returns NULL and sets *error to an errno if there is no thread. */
RDMAMIG_EXPORT struct rdmamig_write_fault_thread *rdmamig_write_faults_start(int uffd, const struct rdmamig_tracked_range *ranges,
                                                                             uint32_t count, struct rdmamig_write_faults *shared,
                                                                             int *error);

/* Ends the thread and frees it. Unregister the ranges before, or their writers wait for ever. */
RDMAMIG_EXPORT void rdmamig_write_faults_stop(struct rdmamig_write_fault_thread *thread);

#endif
