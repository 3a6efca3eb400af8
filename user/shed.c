// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shed.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

#include "log.h"
#include "util.h"

#define SECOND_NS      UINT64_C(1000000000)
#define MILLISECOND_NS 1000000

/* A proxy on this host must not be kept from the application. */
static const char *const loopback[] = { "127.0.0.0/8", "::1" };

static uint64_t to_ticks(const struct shed *shed, uint32_t seconds)
{
	return seconds * SECOND_NS / kernel_tick_ns(shed->kernel);
}

bool shed_is_on(const struct shed *shed)
{
	return shed->config->interfaces.count;
}

uint64_t shed_left_ms(const struct shed *shed, const struct shed_source *there)
{
	uint64_t now = kernel_ticks(shed->kernel);

	return there->until > now
		       ? (there->until - now) * kernel_tick_ns(shed->kernel) / MILLISECOND_NS
		       : 0;
}

/* --- what a source is ----------------------------------------------------------------------------- */

/* Bits of an address, of 128, that make a source. */
static uint32_t prefix_of(const struct config_shed *config, const struct network *network)
{
	return network_is_ipv4(network) ? NETWORK_BITS - NETWORK_IPV4_BITS + config->ipv4_prefix
					: config->ipv6_prefix;
}

struct network shed_network_of(const struct shed *shed, const struct source *source)
{
	struct network network = { .prefix = NETWORK_BITS };

	memcpy(network.words, source->words, sizeof(network.words));
	network.prefix = prefix_of(shed->config, &network);
	return network;
}

void shed_format(const struct shed *shed, const struct source *source,
		 char ret_text[NETWORK_TEXT_SIZE])
{
	struct network network = shed_network_of(shed, source);

	network_format(&network, ret_text);
}

int shed_source_of(const struct shed *shed, const struct network *network,
		   struct source *ret_source, uint32_t *ret_prefix)
{
	uint32_t prefix = prefix_of(shed->config, network);

	if (network->prefix != NETWORK_BITS && network->prefix != prefix) {
		*ret_prefix = network_is_ipv4(network) ? shed->config->ipv4_prefix
						       : shed->config->ipv6_prefix;
		return -EINVAL;
	}
	memcpy(ret_source->words, network->words, sizeof(ret_source->words));
	network_cut(ret_source->words, prefix);
	return 0;
}

/* --- who is exempt -------------------------------------------------------------------------------- */

/* Networks that never change, and those that are configured. Returns how many. */
static size_t list_exempt(const struct config_shed *config, struct network ret_list[EXEMPT_MAX])
{
	size_t count = 0;

	while (count < ARRAY_SIZE(loopback) && !network_read(loopback[count], &ret_list[count]))
		count++;
	for (uint32_t i = 0; i < config->exempt.count; i++)
		ret_list[count++] = config->exempt.rows[i];
	return count;
}

/* An address of this host; false where it is none of IP. */
static bool read_own(const struct sockaddr *address, struct network *ret_network)
{
	*ret_network = (struct network){ .prefix = NETWORK_BITS };
	if (address && address->sa_family == AF_INET) {
		ret_network->words[2] = htonl(0xffff);
		ret_network->words[3] = ((const struct sockaddr_in *)address)->sin_addr.s_addr;
		return true;
	}
	if (!address || address->sa_family != AF_INET6)
		return false;
	memcpy(ret_network->words, &((const struct sockaddr_in6 *)address)->sin6_addr,
	       sizeof(ret_network->words));
	return true;
}

/* Asked anew each time: addresses come and go. Where they cannot be told, any may be one. */
static bool is_own(const struct network *network)
{
	struct ifaddrs *all = NULL;
	struct network own;
	bool found = false;

	if (getifaddrs(&all))
		return true;
	for (const struct ifaddrs *at = all; at && !found; at = at->ifa_next)
		found = read_own(at->ifa_addr, &own) && networks_overlap(&own, network);
	freeifaddrs(all);
	return found;
}

static bool is_exempt(const struct config_shed *config, const struct network *network)
{
	struct network list[EXEMPT_MAX];
	size_t count = list_exempt(config, list);

	for (size_t i = 0; i < count; i++)
		if (networks_overlap(&list[i], network))
			return true;
	return is_own(network);
}

/* --- in and out ----------------------------------------------------------------------------------- */

static int find_oldest(const struct shed_source *there, void *data)
{
	struct shed_source *oldest = data;

	if (there->until < oldest->until)
		*oldest = *there;
	return 0;
}

/* Put it in; where there is no room, in the place of the one that has been out for longest. */
static int put(struct shed *shed, const struct shed_source *row)
{
	uint64_t now = kernel_ticks(shed->kernel);
	struct shed_source oldest = { .until = now };
	int r = kernel_put_shed(shed->kernel, row);

	if (r != -E2BIG)
		return r;
	r = kernel_each_shed(shed->kernel, find_oldest, &oldest);
	if (!r)
		r = oldest.until < now ? kernel_remove_shed(shed->kernel, &oldest.source) : -E2BIG;
	if (!r)
		r = kernel_put_shed(shed->kernel, row);
	if (r == -E2BIG)
		kernel_add_to_counter(shed->kernel, COUNTER_SHED_FULL, 1);
	return r;
}

int shed_add(struct shed *shed, const struct source *source, uint32_t seconds)
{
	struct network network = shed_network_of(shed, source);
	struct shed_source row = { .source = *source };
	int r;

	if (is_exempt(shed->config, &network))
		return -EPERM;
	r = kernel_get_shed(shed->kernel, source, &row);
	if (r && r != -ENOENT)
		return r;
	row.until = kernel_ticks(shed->kernel) + to_ticks(shed, seconds);
	row.seconds = seconds;
	return put(shed, &row);
}

int shed_remove(struct shed *shed, const struct source *source, struct shed_source *ret_shed)
{
	int r = kernel_get_shed(shed->kernel, source, ret_shed);

	if (!r && !shed_left_ms(shed, ret_shed))
		r = -ENOENT;
	return r ? r : kernel_remove_shed(shed->kernel, source);
}

/* --- who collects refusals -------------------------------------------------------------------------- */

/* How long a source is shed for that was shed so many times before. */
static uint32_t next_seconds(const struct config_shed *config, uint32_t times)
{
	uint64_t seconds = config->first;

	while (times-- && seconds < config->cap)
		seconds *= 2;
	return seconds < config->cap ? seconds : config->cap;
}

/* Where it cannot be shed, that is told once, until one can. */
static void shed_again(struct shed *shed, struct shed_source *row)
{
	char text[NETWORK_TEXT_SIZE];
	int r;

	shed_format(shed, &row->source, text);
	row->seconds = next_seconds(shed->config, row->times++);
	row->until = kernel_ticks(shed->kernel) + to_ticks(shed, row->seconds);
	r = put(shed, row);
	if (!r)
		log_notice("%s is shed for %u s: it had %u refusals within %u s.", text,
			   row->seconds, shed->config->refusals, shed->config->seconds);
	if (r && r != shed->refused)
		log_error("%s cannot be shed: %s.", text,
			  r == -E2BIG ? "as many sources are shed as can be" : strerror(-r));
	shed->refused = r;
}

void shed_offender(struct shed *shed, const struct offender *offender)
{
	struct network network = shed_network_of(shed, &offender->source);
	uint64_t window = to_ticks(shed, shed->config->seconds);
	struct shed_source row = { .source = offender->source };
	int r = kernel_get_shed(shed->kernel, &offender->source, &row);

	/* What was refused just before it was shed may be told behind that. */
	if ((!r && shed_left_ms(shed, &row)) || !shed_is_on(shed) ||
	    offender->at + window < kernel_ticks(shed->kernel) || is_exempt(shed->config, &network))
		return;
	shed_again(shed, &row);
}

static void tell(const struct offender *offender, void *data)
{
	shed_offender(data, offender);
}

static void on_offenders(void *data)
{
	struct shed *shed = data;

	kernel_read_offenders(shed->kernel);
}

int shed_watch(struct shed *shed, struct loop *loop)
{
	int fd, r = kernel_watch_offenders(shed->kernel, tell, shed, &fd);

	return r ? r : loop_add_descriptor(loop, &shed->offenders, fd, on_offenders, shed);
}

void shed_close(struct shed *shed, struct loop *loop)
{
	loop_remove(loop, &shed->offenders);
}

/* --- sweeping ------------------------------------------------------------------------------------- */

struct sweep {
	struct shed *shed;
	uint64_t now; /* ticks */
};

/* A source is remembered for as long again as it can be shed: then it begins anew. */
static int sweep_one(const struct shed_source *there, void *data)
{
	const struct sweep *sweep = data;
	struct shed *shed = sweep->shed;
	char text[NETWORK_TEXT_SIZE];

	if (there->until > sweep->now)
		return 0;
	shed_format(shed, &there->source, text);
	if (there->until > shed->swept)
		log_notice("%s is not shed any more; %" PRIu64 " packets of it were dropped.", text,
			   (uint64_t)there->dropped);
	if (there->until + to_ticks(shed, shed->config->cap) <= sweep->now)
		return kernel_remove_shed(shed->kernel, &there->source);
	return 0;
}

void shed_tick(struct shed *shed)
{
	struct sweep sweep = { shed, kernel_ticks(shed->kernel) };
	int r = kernel_each_shed(shed->kernel, sweep_one, &sweep);

	if (r && r != shed->result)
		log_error("It cannot be found out who is shed: %s.", strerror(-r));
	shed->result = r;
	shed->swept = sweep.now;
}

/* --- putting it in force -------------------------------------------------------------------------- */

struct lifting {
	struct shed *shed;
	const struct config_shed *config;
};

static int lift_exempt(const struct shed_source *there, void *data)
{
	const struct lifting *lifting = data;
	struct network network = shed_network_of(lifting->shed, &there->source);
	char text[NETWORK_TEXT_SIZE];

	if (!is_exempt(lifting->config, &network))
		return 0;
	network_format(&network, text);
	if (shed_left_ms(lifting->shed, there))
		log_notice("%s is not shed any more: it is exempt.", text);
	return kernel_remove_shed(lifting->shed->kernel, &there->source);
}

static int put_tables(struct shed *shed, const struct config_shed *config)
{
	struct lifting lifting = { shed, config };
	struct network exempt[EXEMPT_MAX];
	const struct shed_policy policy = {
		.window = to_ticks(shed, config->seconds),
		.refusals = config->interfaces.count ? config->refusals : 0,
	};
	int r = kernel_put_exempt(shed->kernel, exempt, list_exempt(config, exempt));

	if (!r)
		r = kernel_put_shed_policy(shed->kernel, &policy);
	return r ? r : kernel_each_shed(shed->kernel, lift_exempt, &lifting);
}

int shed_put(struct shed *shed, const struct config_shed *config, char *why, size_t why_size)
{
	int r = kernel_put_shed_interfaces(shed->kernel, config->interfaces.names,
					   config->interfaces.count, why, why_size);

	if (r)
		return r;
	r = put_tables(shed, config);
	return r ? say_why(r, why, why_size, "The shed cannot be written to the kernel: %s.",
			   strerror(-r))
		 : 0;
}
