/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a parsed head and a key's records to the verdict. In this order, each step only where the one
 * before it left the question open:
 *
 *	decide_head()	what the head alone says; true: it holds a credential to be judged
 *	decide_again()	true: it is the key of the request before, unchanged, and decide_usage() is next
 *	decide_token()	the credential's shape, and the digest to look up in `keys`
 *	decide_key()	what `keys` holds under that digest
 *	decide_usage()	what `usage` holds in that key's slot
 *
 * What cannot be judged is refused.
 */
#ifndef SLUICE_DECIDE_H
#define SLUICE_DECIDE_H

#include "abi.h"
#include "http.h"
#include "limit.h"
#include "token.h"

/* The verdict on a request. */
struct decision {
	__u64 reset_ms;	 /* see struct limit_state; set where admitted or REPLY_RATE_LIMITED */
	__u32 remaining; /* likewise */
	__u8 admitted;	 /* else refused with `reply` */
	__u8 reply;	 /* enum reply */
	__u8 busy; /* refused for a reason that is ours: drop the request rather than answer */
	__u8 reserved;
};

/* What a key grants: its record as it was when it was found valid. */
struct grant {
	__u64 hint; /* token_hint() of the key */
	__u64 tag;  /* token_tag() of it; 0: not looked at */
	__u64 expires_ms;
	__u32 slot;
	__u32 per_minute;
	__u32 per_day;
	__u32 version; /* of the slot, when its record was written; 0: not to be used again */
	char identity[IDENTITY_SIZE];
};

core_inline bool decide_refuse(struct decision *ret_decision, enum reply reply)
{
	*ret_decision = (struct decision){ .reply = reply };
	return false;
}

/*
 * Judge what the parser says. A head that is not whole (HTTP_MORE) cannot be judged.
 *
 * Returns true where head->credential must be looked at, else false and the decision.
 */
core_inline bool decide_head(enum http_result result, const struct http_head *head,
			     struct decision *ret_decision)
{
	switch (result) {
	case HTTP_DONE:
		break;
	case HTTP_TOO_LARGE:
		return decide_refuse(ret_decision, REPLY_HEAD_TOO_LARGE);
	case HTTP_VERSION:
		return decide_refuse(ret_decision, REPLY_VERSION);
	case HTTP_EXPECTATION:
		return decide_refuse(ret_decision, REPLY_EXPECTATION);
	default:
		return decide_refuse(ret_decision, REPLY_BAD_REQUEST);
	}
	if (head->credential_kind == CREDENTIAL_BEARER)
		return true;
	return decide_refuse(ret_decision, head->credential_kind == CREDENTIAL_NONE
						   ? REPLY_NO_KEY
						   : REPLY_INVALID_KEY);
}

/*
 * Whether a credential is that of an earlier request for which decide_key() gave the grant, and what
 * `keys` holds under it is still the same. A key is remembered when it came twice in a row: where many
 * clients share a connection, each brings another.
 *
 * usage	what `usage` holds at grant->slot, or NULL
 *
 * Returns true where the grant is good as it is; else nothing is known, and decide_key() may give another.
 */
core_inline bool decide_again(const struct token *token, const struct settings *settings,
			      const struct key_usage *usage, __u64 now_ms, struct grant *grant)
{
	__u64 hint = token_hint(token), tag = 0;

	if (hint == grant->hint)
		tag = token_tag(token, settings->tag_key);
	if (tag && usage && grant->version && tag == grant->tag &&
	    core_load(usage->version) == grant->version &&
	    (!grant->expires_ms || now_ms < grant->expires_ms))
		return true;
	grant->hint = hint;
	grant->tag = tag;
	grant->version = 0;
	return false;
}

/*
 * Judge a credential's shape.
 *
 * token	its text, NUL behind it
 * length	characters of it, head->credential.length
 *
 * Returns true and the digest, else false and the decision.
 */
core_inline bool decide_token(const struct token *token, __u32 length,
			      const struct settings *settings, struct key_digest *ret_digest,
			      struct decision *ret_decision)
{
	if (!token_shape(token, length, core_load(settings->key_word_bits)))
		return decide_refuse(ret_decision, REPLY_INVALID_KEY);
	token_digest(ret_digest, settings->pepper, token, length);
	return true;
}

/*
 * Judge a key.
 *
 * policy	what `keys` holds under digest, or NULL
 * now_ms	milliseconds since the epoch
 * ret_grant	where decide_again() was asked before
 *
 * The record is copied first and its digest compared last: it may be another key's by then (abi.h). Or the
 * same key's, of a later version: what is copied is taken for that of the version that was there before it.
 *
 * Returns true and the grant, else false and the decision.
 */
core_inline bool decide_key(const struct key_policy *policy, const struct key_digest *digest,
			    __u64 now_ms, struct grant *ret_grant, struct decision *ret_decision)
{
	__u64 expires_ms;
	__u32 version;

	ret_grant->version = 0;
	if (!policy)
		return decide_refuse(ret_decision, REPLY_INVALID_KEY);
	version = core_load(policy->version);
	core_barrier();
	ret_grant->slot = core_load(policy->slot);
	ret_grant->per_minute = core_load(policy->per_minute);
	ret_grant->per_day = core_load(policy->per_day);
	expires_ms = core_load(policy->expires_ms);
	__builtin_memcpy(ret_grant->identity, policy->identity, IDENTITY_SIZE);
	core_barrier();
	if (!digest_equals(&policy->digest, digest))
		return decide_refuse(ret_decision, REPLY_INVALID_KEY);
	if (expires_ms && now_ms >= expires_ms)
		return decide_refuse(ret_decision, REPLY_INVALID_KEY);
	ret_grant->expires_ms = expires_ms;
	ret_grant->version = ret_grant->tag ? version : 0;
	return true;
}

/*
 * Count the request against the key's limits.
 *
 * usage	what `usage` holds at grant->slot; NULL where there is no such slot
 *
 * Returns whether the request is admitted.
 */
core_inline bool decide_usage(struct key_usage *usage, const struct grant *grant, __u64 now_ms,
			      struct decision *ret_decision)
{
	struct limit_state state;
	enum limit_result result = LIMIT_BUSY;

	if (usage)
		result = limit_take(usage, grant->per_minute, grant->per_day, now_ms, &state);
	decide_refuse(ret_decision, REPLY_RATE_LIMITED);
	if (result == LIMIT_BUSY) {
		ret_decision->busy = true;
		return false;
	}
	ret_decision->admitted = result == LIMIT_TAKEN;
	ret_decision->remaining = state.remaining;
	ret_decision->reset_ms = state.reset_ms;
	return ret_decision->admitted;
}

#endif
