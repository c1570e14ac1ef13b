# Compares stock.before and stock.after (id count topic), orders (id item quantity) and acks (order item). See books.sh for the rules.
# Prints a verdict; exits with 1 when something is wrong.

FNR == 1 { file = FILENAME; sub(/.*\//, "", file) }
file == "stock.before" { before[$1] = $2; next }
file == "stock.after" { after[$1] = $2; next }
file == "orders" { item_of[$1] = $2; sold[$2] += $3; orders++; copies += $3; next }
file == "acks" {
    acks++
    if ($1 in acknowledged) complain("order " $1 " was acknowledged twice")
    acknowledged[$1] = 1
    if (!($1 in item_of)) complain("order " $1 " was acknowledged and is not in the books")
    else if (item_of[$1] != $2) complain("order " $1 " is of item " item_of[$1] ", but item " $2 " was bought")
}

function complain(text) { if (++wrong <= 5) texts = texts "\n  " text }

END {
    for (id in before)
        if (id in after && before[id] - after[id] != sold[id] + 0)
            complain("item " id ": " before[id] - after[id] " copies are gone, and " sold[id] + 0 " were ordered")
    others = orders - acks - unknown
    if (others > 0 && own == "yes") complain(others " orders that nobody made")
    if (wrong) {
        printf "The books are WRONG (%d):%s\n", wrong, texts
        exit 1
    }
    printf "The books balance: %d new orders of %d copies, gone from the stock; %d acknowledged, each of them there once", orders, copies, acks
    if (orders > acks) printf "; %d unacknowledged (%d answers were lost)", orders - acks, unknown
    if (others > 0) printf "; %d are others' orders", others
    print ""
}
