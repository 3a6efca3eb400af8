// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who guesses keys, as the kernel side has counted it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_handle.h"

/* Sources read with one system call. */
#define BATCH 4096

/* The sources with most guesses so far, those first. */
struct ranking {
	struct source *sources;
	struct guesses *made;
	size_t count, room;
};

static void rank(struct ranking *ranking, const struct source *source, const struct guesses *made)
{
	size_t at = ranking->count;

	while (at && ranking->made[at - 1].count < made->count)
		at--;
	if (at == ranking->room)
		return;
	if (ranking->count < ranking->room)
		ranking->count++;
	for (size_t i = ranking->count - 1; i > at; i--) {
		ranking->sources[i] = ranking->sources[i - 1];
		ranking->made[i] = ranking->made[i - 1];
	}
	ranking->sources[at] = *source;
	ranking->made[at] = *made;
}

uint32_t kernel_guess_sources(const struct kernel *kernel)
{
	return kernel->guess_sources;
}

int kernel_read_guesses(struct kernel *kernel, size_t top, struct source *ret_sources,
			struct guesses *ret_made, size_t *ret_count, size_t *ret_all)
{
	struct ranking ranking = { ret_sources, ret_made, 0, top };
	int fd = bpf_map__fd(kernel->programs->maps.guesses);
	struct source *sources = calloc(BATCH, sizeof(*sources));
	struct guesses *made = calloc(BATCH, sizeof(*made));
	__u32 position = 0, got;
	int r = sources && made ? 0 : -ENOMEM;
	bool last = false;

	*ret_all = 0;
	for (bool first = true; !r && !last; first = false) {
		got = BATCH;
		if (bpf_map_lookup_batch(fd, first ? NULL : &position, &position, sources, made,
					 &got, NULL)) {
			last = errno == ENOENT;
			if (!last)
				r = -errno;
		}
		for (__u32 i = 0; !r && i < got; i++)
			rank(&ranking, &sources[i], &made[i]);
		*ret_all += r ? 0 : got;
	}
	free(made);
	free(sources);
	*ret_count = ranking.count;
	return r;
}
