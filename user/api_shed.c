/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The calls on sources that are shed. Every change is logged. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api_calls.h"
#include "input.h"
#include "log.h"
#include "network.h"
#include "shed.h"
#include "util.h"

static json_t *source_to_json(const struct shed *shed, const struct shed_source *there)
{
	uint64_t left_ms = shed_left_ms(shed, there);
	char text[NETWORK_TEXT_SIZE], until[RFC3339_SIZE];

	shed_format(shed, &there->source, text);
	rfc3339_format(now_ms() + left_ms, until);
	return json_pack("{s:s, s:s, s:I, s:I, s:I}", "source", text, "until", until, "secondsLeft",
			 (json_int_t)(left_ms + 999) / 1000, "dropped", (json_int_t)there->dropped,
			 "times", (json_int_t)there->times);
}

/* --- which source ----------------------------------------------------------------------------------- */

static int read_source(const struct shed *shed, const char *text, struct source *ret_source,
		       struct failure *ret_failure)
{
	struct network network;
	uint32_t prefix;
	int r = network_read(text, &network);

	if (r == -ERANGE)
		return failure_set(ret_failure, FAILURE_INVALID_ARGUMENT,
				   "source has bits set behind its prefix.");
	if (r)
		return failure_set(ret_failure, FAILURE_INVALID_ARGUMENT,
				   "source must be an address, such as 203.0.113.7 or 2001:db8::7, "
				   "or a network with the prefix that makes a source here: /%u of "
				   "IPv4, /%u of IPv6.",
				   shed->config->ipv4_prefix, shed->config->ipv6_prefix);
	if (shed_source_of(shed, &network, ret_source, &prefix))
		return failure_set(ret_failure, FAILURE_INVALID_ARGUMENT,
				   "source must be an address, or a network with the prefix that "
				   "makes a source here: /%u.",
				   prefix);
	return 0;
}

/* Who did what; seconds 0: let it in again. */
static void log_change(const struct api_call *call, const struct source *source, uint32_t seconds)
{
	char text[NETWORK_TEXT_SIZE];

	shed_format(call->service->shed, source, text);
	if (seconds)
		log_notice("uid %u, pid %d has %s shed for %u s", (unsigned)call->request->uid,
			   (int)call->request->pid, text, seconds);
	else
		log_notice("uid %u, pid %d has %s shed no more", (unsigned)call->request->uid,
			   (int)call->request->pid, text);
}

/* --- the calls -------------------------------------------------------------------------------------- */

struct listing {
	const struct shed *shed;
	json_t *sources;
};

static int list_one(const struct shed_source *there, void *data)
{
	const struct listing *listing = data;

	if (!shed_left_ms(listing->shed, there))
		return 0;
	return json_array_append_new(listing->sources, source_to_json(listing->shed, there))
		       ? -ENOMEM
		       : 0;
}

int api_list_shed(const struct api_call *call, struct api_response *ret_response,
		  struct failure *ret_failure)
{
	const struct service *service = call->service;
	struct listing listing = { service->shed, json_array() };
	int r = kernel_each_shed(service->kernel, list_one, &listing);

	if (r) {
		json_decref(listing.sources);
		return failure_set(ret_failure, FAILURE_UNAVAILABLE,
				   "The kernel side's sources cannot be read: %s.", strerror(-r));
	}
	return api_respond_json(ret_response, 200,
				json_pack("{s:b, s:I, s:o}", "on", shed_is_on(service->shed), "max",
					  (json_int_t)kernel_shed_sources(service->kernel),
					  "sources", listing.sources),
				ret_failure);
}

struct counting {
	const struct shed *shed;
	size_t count;
};

static int count_one(const struct shed_source *there, void *data)
{
	struct counting *counting = data;

	counting->count += shed_left_ms(counting->shed, there) > 0;
	return 0;
}

int api_count_shed(const struct service *service, size_t *ret_count)
{
	struct counting counting = { service->shed, 0 };
	int r = kernel_each_shed(service->kernel, count_one, &counting);

	*ret_count = counting.count;
	return r;
}

/* Why a source is not shed. */
static int refuse(int error, uint32_t max, struct failure *ret_failure)
{
	switch (error) {
	case -EPERM:
		return failure_set(ret_failure, FAILURE_CONFLICT,
				   "The source is exempt: it has an address of loopback or of this "
				   "host, or one of a network that [shed] exempts.");
	case -E2BIG:
		return failure_set(ret_failure, FAILURE_LIMIT_REACHED,
				   "As many sources are shed as can be: %u. Let one in first "
				   "(sluice shed rm), or raise max_sources for the next gate.",
				   max);
	default:
		return failure_set(ret_failure, FAILURE_UNAVAILABLE,
				   "The source cannot be shed: %s.", strerror(-error));
	}
}

static int read_seconds(const struct input_member *member, const int64_t *seconds,
			uint32_t *ret_seconds, struct failure *ret_failure)
{
	if (!member->present)
		return 0;
	if (*seconds < 1 || *seconds > SHED_SECONDS_MAX)
		return failure_set(ret_failure, FAILURE_INVALID_ARGUMENT,
				   "seconds must be from 1 to %d.", SHED_SECONDS_MAX);
	*ret_seconds = *seconds;
	return 0;
}

int api_add_shed(const struct api_call *call, struct api_response *ret_response,
		 struct failure *ret_failure)
{
	struct shed *shed = call->service->shed;
	uint32_t duration = shed->config->first;
	struct shed_source there;
	struct source source;
	const char *text;
	int64_t seconds;
	struct input_member members[] = {
		{ "source", INPUT_TEXT, &text, .required = true },
		{ "seconds", INPUT_NUMBER, .value = &seconds },
	};
	int r = input_read_object(call->body, members, ARRAY_SIZE(members), ret_failure);

	if (!r)
		r = read_source(shed, text, &source, ret_failure);
	if (!r)
		r = read_seconds(&members[1], &seconds, &duration, ret_failure);
	if (r)
		return r;
	if (!shed_is_on(shed))
		return failure_set(ret_failure, FAILURE_CONFLICT,
				   "No source can be shed: [shed] names no network interfaces.");
	r = shed_add(shed, &source, duration);
	if (!r)
		r = kernel_get_shed(call->service->kernel, &source, &there);
	if (r)
		return refuse(r, kernel_shed_sources(call->service->kernel), ret_failure);
	log_change(call, &source, duration);
	return api_respond_json(ret_response, 201, source_to_json(shed, &there), ret_failure);
}

int api_remove_shed(const struct api_call *call, struct api_response *ret_response,
		    struct failure *ret_failure)
{
	struct shed *shed = call->service->shed;
	struct shed_source there;
	struct source source;
	char text[NETWORK_TEXT_SIZE];
	int r;

	if (!input_decode(call->id, strlen(call->id), text, sizeof(text)))
		*text = '\0';
	r = read_source(shed, text, &source, ret_failure);
	if (r)
		return r;
	r = shed_remove(shed, &source, &there);
	if (r == -ENOENT)
		return failure_set(ret_failure, FAILURE_NOT_FOUND, "The source is not shed.");
	if (r)
		return failure_set(ret_failure, FAILURE_UNAVAILABLE,
				   "The source cannot be let in: %s.", strerror(-r));
	log_change(call, &source, 0);
	return api_respond_json(ret_response, 200, source_to_json(shed, &there), ret_failure);
}
