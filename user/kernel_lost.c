// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Records of connections whose end nobody was told of. Another program on a socket can have the gate's not
 * called when it closes (bpf_sock_ops_cb_flags is one word for all of them); its record would stay, and
 * keep another connection's place for ever.
 */
#include <errno.h>
#include <stdbool.h>

#include <bpf/bpf.h>

#include "kernel.h"
#include "kernel_handle.h"
#include "sockets.h"

/*
 * Note the connections that are in the sockhash no more, which they leave when the application closes them.
 * Most of these have a goodbye to say yet. Returns how many, at most `max`: the next time goes on from there.
 */
static size_t find_closed(struct kernel *kernel, uint64_t *ret_cookies, size_t max)
{
	int conns = bpf_map__fd(kernel->programs->maps.conns);
	int socks = bpf_map__fd(kernel->programs->maps.socks);
	/* Where the last one is gone by now, the kernel begins anew. */
	size_t count = 0, steps = 2 * bpf_map__max_entries(kernel->programs->maps.conns);
	__u64 cookie = kernel->lost_after, value;

	while (count < max && steps--) {
		if (bpf_map_get_next_key(conns, cookie ? &cookie : NULL, &cookie)) {
			cookie = 0;
			break;
		}
		if (bpf_map_lookup_elem(socks, &cookie, &value) && errno == ENOENT)
			ret_cookies[count++] = cookie;
	}
	kernel->lost_after = count < max ? 0 : cookie;
	return count;
}

static int forget(struct kernel *kernel, __u64 cookie)
{
	struct forgetting which = { .cookie = cookie };
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &which, .ctx_size_in = sizeof(which));

	return bpf_prog_test_run_opts(bpf_program__fd(kernel->programs->progs.sluice_forget),
				      &options);
}

int kernel_forget_lost(struct kernel *kernel, size_t *ret_count)
{
	uint64_t cookies[LOST_MAX];
	bool found[LOST_MAX];
	size_t count = find_closed(kernel, cookies, LOST_MAX);
	int r = 0;

	*ret_count = 0;
	if (!count)
		return 0;
	r = sockets_find(cookies, count, found);
	if (r == -EAGAIN)
		return 0; /* the next time, then */
	for (size_t i = 0; !r && i < count; i++) {
		if (found[i])
			continue;
		r = forget(kernel, cookies[i]);
		*ret_count += !r;
	}
	return r;
}
