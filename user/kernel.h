/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel side as the daemon sees it: load or take over the pinned programs and maps, and read
 * and write what is in them. Nothing above this file knows libbpf.
 *
 * All functions return 0 or a negative errno unless their comment says otherwise.
 */
#ifndef SLUICE_KERNEL_H
#define SLUICE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <net/if.h>

#include "../bpf/abi.h"

struct kernel;

/* What the daemon was told about where and how to stand. */
struct kernel_options {
	const char *pin_folder; /* bpffs folder, made if absent */
	const char *cgroup; /* cgroup-v2 folder whose sockets are gated; NULL: the mounted root */
	uint32_t max_keys;  /* slots in `usage`; at most this many keys are in force */
	uint32_t max_connections; /* open connections that can be gated at once */
	uint32_t guess_sources;	  /* sources of invalid keys that are told apart */
	uint32_t shed_sources;	  /* sources that can be shed at once */
	uint32_t ipv4_prefix;	  /* bits of an address that make a source */
	uint32_t ipv6_prefix;
	const char *remove; /* the command that takes the gate down, for sentences that advise it */
	bool to_remove; /* it is about to be taken down, on whatever cgroup it is: cgroup is not used */
};

/*
 * Load the programs or take over those that are pinned, and hold the pin folder's lock.
 *
 * ret_kernel	the handle, closed with kernel_close()
 * why		on failure, one or two plain sentences: what is missing and what to do
 * why_size	bytes in why
 *
 * Traffic is not gated before kernel_enforce(), and programs that were pinned go on as they were
 * up to kernel_put_programs(). A failure leaves nothing behind that was not there.
 *
 * Errors: -EBUSY another daemon holds the folder, -EPERM it belongs to another user, -EACCES the
 * pins in it do, -ENOTSUP the kernel cannot do what the gate needs, -ESTALE pinned maps have a
 * layout this version cannot read, or what a system call returned.
 */
int kernel_open(const struct kernel_options *options, struct kernel **ret_kernel, char *why,
		size_t why_size);

/*
 * Have connections judged by this version's programs, those that are open from their next buffer
 * on. Settings must be written. why and why_size as in kernel_open().
 */
int kernel_put_programs(struct kernel *kernel, char *why, size_t why_size);

/* Let go of the kernel side; what is pinned stays and goes on enforcing. NULL is allowed. */
void kernel_close(struct kernel *kernel);

/*
 * Attach and pin the links: from here on the sockets of every gate are gated. Nothing to do where
 * a former daemon did so. why and why_size as in kernel_open().
 */
int kernel_enforce(struct kernel *kernel, char *why, size_t why_size);

/*
 * Take the gate in pin_folder down: detach, unpin, remove the folder. Works for the pins of any
 * version. Connections that are still open are reset, since leaving them would leave them ungated.
 *
 * Nothing to do where there is no such folder. Errors: -EBUSY a daemon holds the folder (this
 * process' own handle included: close it first), -EPERM it belongs to another user, -EEXIST there
 * are pins in it and none is Sluice's, or what a system call returned.
 */
int kernel_remove(const char *pin_folder);

/* True where the pins of a former daemon were taken over rather than made. */
bool kernel_taken_over(const struct kernel *kernel);

/* True where the links are attached and programs run. */
bool kernel_enforcing(const struct kernel *kernel);

/* The cgroup whose sockets are gated, as a path. */
const char *kernel_cgroup(const struct kernel *kernel);

/*
 * Settings of all programs, shared with them: while they run, change whole words with atomic stores
 * only. Zeros where none were written yet.
 */
struct settings *kernel_settings(struct kernel *kernel);

/* Write one rendered answer. */
int kernel_put_reply(struct kernel *kernel, enum reply reply, enum reply_connection connection,
		     const struct reply_template *template);

/*
 * Gates: ports of this process' network namespace. port in host byte order. Each change is in force
 * when the call returns, for whatever comes next; connections keep the gate they were made with.
 * kernel_get_gate: -ENOENT where there is none.
 */
int kernel_get_gate(struct kernel *kernel, uint16_t port, struct gate *ret_gate);
int kernel_put_gate(struct kernel *kernel, uint16_t port, const struct gate *gate);
int kernel_remove_gate(struct kernel *kernel, uint16_t port);

/*
 * Wait until no program reads what was replaced or removed in a table before: the next change may
 * use its memory again. Some ten milliseconds.
 */
void kernel_settle(void);

/*
 * Forget connections that have ended without the gate being told, so that their places are free again: at
 * most LOST_MAX at once. Takes some microseconds for each connection that is open.
 *
 * ret_count	how many there were
 *
 * Returns 0 or a negative errno.
 */
#define LOST_MAX 1024
int kernel_forget_lost(struct kernel *kernel, size_t *ret_count);

/*
 * Call visit for each connection of this network namespace that is to end: its gate is draining, or is
 * gone, and the settings say `leaving`. As it is at that moment; in no order. Stops and returns what visit
 * returns where that is not 0.
 */
int kernel_each_drained(struct kernel *kernel,
			int (*visit)(const struct drained *drained, void *data), void *data);

/*
 * Call visit for each gate, of whatever network namespace; it may not change gates. own is true
 * for gates of this process' namespace. Stops and returns what visit returns where that is not 0.
 */
int kernel_each_gate(struct kernel *kernel,
		     int (*visit)(const struct gate_key *key, const struct gate *gate, bool own,
				  void *data),
		     void *data);

/*
 * Keys in force. Putting is an insertion or a whole replacement, in force when the call returns,
 * as is removal; removing a key that is not there is not an error.
 * kernel_put_key: -E2BIG where the table is full.
 */
int kernel_put_key(struct kernel *kernel, const struct key_policy *policy);
int kernel_remove_key(struct kernel *kernel, const struct key_digest *digest);

/* Call visit for each key in force. visit may remove the key it is given. */
int kernel_each_key(struct kernel *kernel,
		    int (*visit)(const struct key_policy *policy, void *data), void *data);

/* Number of slots in `usage`. */
uint32_t kernel_slots(const struct kernel *kernel);

/*
 * A key's live usage, shared with the kernel: read and write with atomic operations only.
 * slot must be less than kernel_slots().
 */
struct key_usage *kernel_usage(struct kernel *kernel, uint32_t slot);

/* Connections that are enrolled now, and how many there can be. */
int kernel_read_open(struct kernel *kernel, uint64_t *ret_open);
uint32_t kernel_max_connections(const struct kernel *kernel);

/*
 * Reset the connections to a port of this process' network namespace that the programs have marked
 * as not gated: nothing gets through to them, whatever comes. They are counted.
 *
 * Returns how many there were, or a negative errno: -EOPNOTSUPP where the kernel was built without
 * CONFIG_INET_DIAG_DESTROY.
 */
int kernel_reset_ungated(struct kernel *kernel, uint16_t port);

/* Sources of which guesses are counted at once. */
uint32_t kernel_guess_sources(const struct kernel *kernel);

/*
 * Read who guesses keys: the `top` sources with most guesses, those first.
 *
 * ret_sources	top elements each; the first *ret_count are filled
 * ret_made
 * ret_all	sources that there are
 */
int kernel_read_guesses(struct kernel *kernel, size_t top, struct source *ret_sources,
			struct guesses *ret_made, size_t *ret_count, size_t *ret_all);

/* Sum of all processors' counters, in the order of enum counter. */
int kernel_read_counters(struct kernel *kernel, uint64_t ret_counters[COUNTER_COUNT]);

/* Add to a counter that no program writes. */
int kernel_add_to_counter(struct kernel *kernel, enum counter counter, uint64_t count);

/* --- the shed: bpf/shed.bpf.c ------------------------------------------------------------------- */

/*
 * Say of how many bits of an address a source is made. Where they were others before, nobody is shed any
 * more; else those that are stay so. Returns 0 or a negative errno.
 */
int kernel_lay_out_shed(struct kernel *kernel, uint32_t ipv4_prefix, uint32_t ipv6_prefix);

/*
 * Have packets looked at on these network interfaces, CONFIG_INTERFACES_MAX at most, and on no others:
 * natively where the driver can. All of it or nothing. why and why_size as in kernel_open().
 *
 * Errors: -ENODEV there is no such interface, -EBUSY another XDP program is on one, or what a system
 * call returned.
 */
int kernel_put_shed_interfaces(struct kernel *kernel, const char names[][IF_NAMESIZE], size_t count,
			       char *why, size_t why_size);

/*
 * The clock of sources: now, in ticks of so many nanoseconds, which are those of struct shed_source. It
 * goes as CLOCK_MONOTONIC does.
 */
uint64_t kernel_ticks(const struct kernel *kernel);
uint64_t kernel_tick_ns(const struct kernel *kernel);

/*
 * Sources, those whose time is over included. kernel_put_shed: one that is there counts on what is dropped; -E2BIG
 * where there are as many as there can be. kernel_get_shed and kernel_remove_shed: -ENOENT where it is not
 * there.
 */
int kernel_get_shed(struct kernel *kernel, const struct source *source,
		    struct shed_source *ret_shed);
int kernel_put_shed(struct kernel *kernel, const struct shed_source *shed);
int kernel_remove_shed(struct kernel *kernel, const struct source *source);

/* Call visit for each, which may remove any. Stops and returns what visit returns where that is not 0. */
int kernel_each_shed(struct kernel *kernel,
		     int (*visit)(const struct shed_source *shed, void *data), void *data);

/* How many there can be. */
uint32_t kernel_shed_sources(const struct kernel *kernel);

/* When the programs tell of a source. */
int kernel_put_shed_policy(struct kernel *kernel, const struct shed_policy *policy);

/*
 * Have tell called for each source that they tell of, while kernel_read_offenders() runs, which is to be
 * called whenever ret_fd is readable. The descriptor stays the kernel's.
 */
int kernel_watch_offenders(struct kernel *kernel,
			   void (*tell)(const struct offender *offender, void *data), void *data,
			   int *ret_fd);
int kernel_read_offenders(struct kernel *kernel);

/* Make these the networks that are exempt: EXEMPT_MAX at most. */
int kernel_put_exempt(struct kernel *kernel, const struct network *networks, size_t count);

#endif
