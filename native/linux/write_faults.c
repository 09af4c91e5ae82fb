#define _GNU_SOURCE
#include "rdmamig_linux.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Why this is C: a thread of .NET that writes a protected page cannot be suspended until the page is unprotected. A
 * garbage collection waits for that thread, and meanwhile it lets no managed thread run, so a managed thread that
 * unprotects pages would wait for the collection: a deadlock. A thread that never runs managed code is never suspended. */

#define PAGE_SHIFT 12
#define BATCH 32

struct rdmamig_write_fault_thread {
	pthread_t thread;
	int uffd;
	int stop;
	uint32_t count;
	const struct rdmamig_tracked_range *ranges;
	struct rdmamig_write_faults *shared;
};

static void set_bits(const struct rdmamig_tracked_range *range, uint64_t start)
{
	uint64_t first = (start - range->start) >> PAGE_SHIFT;
	uint64_t last = first + (range->page_size >> PAGE_SHIFT) - 1;

	/* The summary comes after the word: whoever takes the bits clears the summary first. */
	for (uint64_t word = first / 64; word <= last / 64; word++) {
		uint64_t low = word == first / 64 ? first % 64 : 0;
		uint64_t high = word == last / 64 ? last % 64 : 63;
		uint64_t mask = (~UINT64_C(0) >> (63 - high)) & (~UINT64_C(0) << low);

		__atomic_fetch_or(&range->words[word], mask, __ATOMIC_SEQ_CST);
		__atomic_fetch_or(&range->summary[word / 64], UINT64_C(1) << (word % 64), __ATOMIC_SEQ_CST);
	}
}

static int unprotect(int uffd, uint64_t start, uint64_t length)
{
	struct uffdio_writeprotect pages = { .range = { .start = start, .len = length }, .mode = 0 };

	while (ioctl(uffd, UFFDIO_WRITEPROTECT, &pages)) {
		/* ENOENT, EINVAL: the range was unregistered meanwhile. The kernel wakes no writer then, and a managed thread may
		 * be suspended by a collection that waits for the writer. */
		if (errno == ENOENT || errno == EINVAL)
			return ioctl(uffd, UFFDIO_WAKE, &pages.range) ? errno : 0;
		if (errno != EAGAIN && errno != EINTR)
			return errno;
	}
	return 0;
}

static int resolve(struct rdmamig_write_fault_thread *self, uint64_t address)
{
	for (uint32_t i = 0; i < self->count; i++) {
		const struct rdmamig_tracked_range *range = &self->ranges[i];
		uint64_t start;
		int error;

		if (address < range->start || address >= range->end)
			continue;

		/* The bit comes after the write is let through. A bit that is taken in between would be lost otherwise: its
		 * taker protects the page, and then this thread would unprotect it without setting the bit again. */
		start = address & ~(range->page_size - 1);
		error = unprotect(self->uffd, start, range->page_size);
		set_bits(range, start);
		return error;
	}
	return 0;
}

/* Nobody unprotects pages any more, so nothing may stay protected. */
static void give_up(struct rdmamig_write_fault_thread *self, int error)
{
	__atomic_store_n(&self->shared->error, error, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < self->count; i++) {
		struct uffdio_range range = { .start = self->ranges[i].start, .len = self->ranges[i].end - self->ranges[i].start };

		/* Of write protection the kernel wakes nobody when it ends. */
		ioctl(self->uffd, UFFDIO_UNREGISTER, &range);
		ioctl(self->uffd, UFFDIO_WAKE, &range);
	}
}

static int resolve_all(struct rdmamig_write_fault_thread *self, const struct uffd_msg *messages, size_t count)
{
	int error = 0;

	__atomic_fetch_add(&self->shared->sequence, 1, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < count && !error; i++) {
		if (messages[i].event == UFFD_EVENT_PAGEFAULT)
			error = resolve(self, messages[i].arg.pagefault.address);
	}
	__atomic_fetch_add(&self->shared->faults, count, __ATOMIC_RELAXED);
	__atomic_fetch_add(&self->shared->sequence, 1, __ATOMIC_SEQ_CST);
	return error;
}

static void *run(void *argument)
{
	struct rdmamig_write_fault_thread *self = argument;
	struct pollfd wait[2] = { { .fd = self->uffd, .events = POLLIN }, { .fd = self->stop, .events = POLLIN } };
	struct uffd_msg messages[BATCH];
	int error = 0;

	while (!error) {
		ssize_t bytes = read(self->uffd, messages, sizeof(messages));

		if (bytes > 0) {
			error = resolve_all(self, messages, (size_t)bytes / sizeof(messages[0]));
		} else if (bytes < 0 && errno != EAGAIN && errno != EINTR) {
			error = errno;
		} else {
			poll(wait, 2, -1);
			if (wait[1].revents)
				return NULL;
		}
	}
	give_up(self, error);
	return NULL;
}

static int start_thread(struct rdmamig_write_fault_thread *self)
{
	sigset_t all, old;
	int error;

	/* No signal handler of .NET runs on this thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&self->thread, NULL, run, self);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!error)
		pthread_setname_np(self->thread, "mig/src/writes");
	return error;
}

struct rdmamig_write_fault_thread *rdmamig_write_faults_start(int uffd, const struct rdmamig_tracked_range *ranges, uint32_t count,
                                                              struct rdmamig_write_faults *shared, int *error)
{
	struct rdmamig_write_fault_thread *self = calloc(1, sizeof(*self));

	if (!self) {
		*error = ENOMEM;
		return NULL;
	}
	self->uffd = uffd;
	self->ranges = ranges;
	self->count = count;
	self->shared = shared;
	self->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*error = self->stop < 0 ? errno : start_thread(self);
	if (*error) {
		if (self->stop >= 0)
			close(self->stop);
		free(self);
		return NULL;
	}
	return self;
}

void rdmamig_write_faults_stop(struct rdmamig_write_fault_thread *thread)
{
	uint64_t one = 1;

	if (write(thread->stop, &one, sizeof(one)) == sizeof(one))
		pthread_join(thread->thread, NULL);
	close(thread->stop);
	free(thread);
}
