/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who is shed: sources of which packets to protected ports are dropped where they arrive, and until
 * when. What is in force is in the kernel, and ends there by itself; the daemon puts sources in, logs
 * when they are out again, and forgets them later.
 */
#ifndef SLUICE_SHED_H
#define SLUICE_SHED_H

#include "config.h"
#include "kernel.h"
#include "network.h"
#include "loop.h"

/* Seconds that a source can be shed for by hand: thirty days. */
#define SHED_SECONDS_MAX 2592000

struct shed {
	struct kernel *kernel;
	struct loop_source offenders;
	const struct config_shed *config; /* in force */
	uint64_t swept;			  /* tick at which it was looked last who is out */
	int result;			  /* of that */
	int refused;			  /* why the last offender was not shed; 0: it was */
};

/*
 * Put in force what config says: at the start, and whenever it changed. Sources that are exempt by now
 * are let in again. All of it or nothing, as far as network interfaces go.
 *
 * why	on failure, a sentence for the user
 *
 * Returns 0 or a negative errno.
 */
int shed_put(struct shed *shed, const struct config_shed *config, char *why, size_t why_size);

/* From here on shed those that collect refusals, while the loop runs. 0 or a negative errno. */
int shed_watch(struct shed *shed, struct loop *loop);
void shed_close(struct shed *shed, struct loop *loop);

/*
 * A source has had its refusals: shed it, twice as long as the last time. Not where it is exempt, or where
 * that was so long ago that it was told to a daemon that did not run.
 */
void shed_offender(struct shed *shed, const struct offender *offender);

/* Whether anything is dropped at all. */
bool shed_is_on(const struct shed *shed);

/*
 * The source that a network is, which must be an address or have the prefix of sources of its kind.
 * Returns 0, or -EINVAL with ret_prefix set to the prefix that is allowed.
 */
int shed_source_of(const struct shed *shed, const struct network *network,
		   struct source *ret_source, uint32_t *ret_prefix);

/* The other way round, for people. */
struct network shed_network_of(const struct shed *shed, const struct source *source);

/* Write it as the network it is. */
void shed_format(const struct shed *shed, const struct source *source,
		 char ret_text[NETWORK_TEXT_SIZE]);

/*
 * Shed a source from now on for so many seconds, whatever was left of a former time.
 *
 * Returns 0; -EPERM where it is exempt: an address of it is of loopback, of this host, or in a network
 * that is configured so; -E2BIG where as many are shed as can be; or another negative errno.
 */
int shed_add(struct shed *shed, const struct source *source, uint32_t seconds);

/* Let it in again, and forget it. ret_shed is how it was. -ENOENT where it is not shed. */
int shed_remove(struct shed *shed, const struct source *source, struct shed_source *ret_shed);

/* Milliseconds that are left of its time; 0: it is over. */
uint64_t shed_left_ms(const struct shed *shed, const struct shed_source *there);

/* Each second: log who is out again, and forget who was long enough. */
void shed_tick(struct shed *shed);

#endif
