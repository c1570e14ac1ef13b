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
 * agree counts the other members that agree with this one; differ those that differ from it and are known to agree with each other (the
 * largest number of them; 1 when it is known of none); configured all of them with this one. Members of whom nothing comparable
 * is known, and those that say themselves that they are not right, count as neither. Numbers that can't be (a list that just changed)
 * are taken as they are.
 */
enum verdict verdict_of(int configured, int agree, int differ);

#endif
