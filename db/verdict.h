/*
 * verdict: whether a replica is right, from how many of the configured members agree with its chain hash. Pure.
 *
 * Who differs from a majority steps out and rebuilds itself. With a difference but no majority on either side (one against one)
 * it steps out and waits: when others come up, or a person removes a member, the majority decides.
 */
#ifndef PYGMY_DB_VERDICT_H
#define PYGMY_DB_VERDICT_H

enum verdict { VERDICT_AGREES, VERDICT_IN_DOUBT, VERDICT_DIVERGED };

/*
 * agree and differ count other members, configured all of them with this one. Members of whom nothing comparable is known, and those
 * that say themselves that they are not right, count as neither. Numbers that can't be (a list that just changed) are taken as they are.
 */
enum verdict verdict_of(int configured, int agree, int differ);

#endif
