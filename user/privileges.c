// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "util.h"

/* The user that the service runs as (scripts/sluiced.service). */
#define SERVICE_USER "sluice"

#define CAPABILITY_BITS 64

static const struct {
	uint64_t bit;
	const char *name;
} names[] = {
	{ CAPABILITY(CAP_NET_ADMIN), "CAP_NET_ADMIN" },
	{ CAPABILITY(CAP_NET_RAW), "CAP_NET_RAW" },
	{ CAPABILITY(CAP_PERFMON), "CAP_PERFMON" },
	{ CAPABILITY(CAP_BPF), "CAP_BPF" },
};

static int get_permitted(uint64_t *ret_permitted)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	*ret_permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	return 0;
}

/* Inheritable, too, so that they can be ambient. */
static int set_all(uint64_t kept)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		data[i].effective = data[i].permitted = data[i].inheritable = kept >> 32 * i;
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

/*
 * The bounding set can be made smaller by root alone. Elsewhere it grants nothing: no_new_privs keeps
 * a program that is run from getting what its caller does not have.
 */
static int limit_bounding(uint64_t kept)
{
	for (int i = 0; i < CAPABILITY_BITS && prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		if (!(kept & CAPABILITY(i)) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) && errno != EPERM)
			return -errno;
	return 0;
}

/* What a program that is run has where this is not root. */
static int set_ambient(uint64_t kept)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		return -errno;
	for (int i = 0; i < CAPABILITY_BITS; i++)
		if (kept & CAPABILITY(i) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0))
			return -errno;
	return 0;
}

/* "… CAP_BPF, CAP_PERFMON …" */
static int refuse(uint64_t missing, char *why, size_t why_size)
{
	char list[128] = "";
	size_t used = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names) && used < sizeof(list); i++)
		if (missing & names[i].bit)
			used += snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "",
					 names[i].name);
	snprintf(
		why, why_size,
		"Run sluiced as root, or with the capabilities that loading BPF programs needs; it "
		"lacks %s.",
		list);
	return -EPERM;
}

int privileges_limit(uint64_t needed, uint64_t optional, char *why, size_t why_size)
{
	uint64_t permitted = 0, kept;
	int r = get_permitted(&permitted);

	if (!r && needed & ~permitted)
		return refuse(needed & ~permitted, why, why_size);
	kept = needed | (optional & permitted);
	if (!r)
		r = limit_bounding(kept);
	if (!r)
		r = set_all(kept);
	if (!r)
		r = set_ambient(kept);
	if (!r && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		r = -errno;
	if (r)
		snprintf(why, why_size, "Privileges cannot be given up: %s.", strerror(-r));
	return r;
}

/* Change to the user with those of kept that are permitted, which setresuid() otherwise takes. */
static int become(const struct passwd *user, uint64_t kept)
{
	uint64_t permitted = 0;
	int r = get_permitted(&permitted);

	if (r)
		return r;
	if (setgroups(0, NULL) || setresgid(user->pw_gid, user->pw_gid, user->pw_gid) ||
	    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid))
		return -errno;
	return set_all(kept & permitted);
}

/* The service's user, where path is that user's and this process root. */
static const struct passwd *find_owner(const char *path)
{
	const struct passwd *user;
	struct stat status;

	if (geteuid() || lstat(path, &status) || !status.st_uid)
		return NULL;
	user = getpwnam(SERVICE_USER);
	/* Anybody else's is none of ours: whoever uses the path says so. */
	return user && user->pw_uid == status.st_uid ? user : NULL;
}

int privileges_become_owner(const char *path, uint64_t needed, uint64_t optional, char *why,
			    size_t why_size)
{
	const struct passwd *user = find_owner(path);
	int r = user ? become(user, needed | optional) : 0;

	if (!r)
		return privileges_limit(needed, optional, why, why_size);
	snprintf(why, why_size, "Cannot become the user " SERVICE_USER ", whose gate this is: %s.",
		 strerror(-r));
	return r;
}

int privileges_hide_memory(void)
{
	if (prctl(PR_SET_DUMPABLE, 0) || setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 }))
		return -errno;
	return 0;
}
