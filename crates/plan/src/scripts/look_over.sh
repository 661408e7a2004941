# What is expected: KIND TEXT WORDS, three by three.
expected() {
    kind=$1 text=$2
    shift 2
    while [ $# -ge 3 ]; do
        case "$1=$kind=$text" in
            unit=unit="$2" | unit=unit="$2".service | line=line=*"$2"*)
                words=$3
                return 0
                ;;
        esac
        shift 3
    done
    return 1
}
state=$(systemctl is-system-running 2>/dev/null) || :
case $state in
    '' | offline)
        echo 'units and journal were not looked at: no systemd runs here'
        exit 0
        ;;
    # What starts at boot is not over yet: a minute is long for it, and it is only looked at earlier otherwise.
    initializing | starting) timeout 60 systemctl is-system-running --wait >/dev/null 2>&1 || : ;;
esac
failed=$(systemctl list-units --state=failed --plain --no-legend --no-pager)
unexpected=
while read -r unit _; do
    [ -n "$unit" ] || continue
    if expected unit "$unit" "$@"; then
        echo "unit $unit has failed: $words"
    else
        echo "unit $unit has failed"
        unexpected="$unexpected $unit"
    fi
done <<UNITS
$failed
UNITS
# Of the errors of this boot the last 2000 lines, told once each, without their times and process numbers.
if errors=$(journalctl --boot --priority=err --quiet --no-pager --no-hostname --output=short --lines=2000 2>/dev/null); then
    errors=$(printf '%s\n' "$errors" |
        sed -e 's/^[A-Z][a-z][a-z] [ 0-9][0-9] [0-9:]\{8\} //' -e 's/\[[0-9]*\]:/:/' -e '/^[[:space:]]*$/d' |
        sort | uniq -c | sort -rn)
    told=0 more=0
    while read -r times text; do
        [ -n "$text" ] || continue
        told=$((told + 1))
        if [ "$told" -gt 20 ]; then
            more=$((more + 1))
        elif expected line "$text" "$@"; then
            printf 'journal, %s times: %.200s: %s\n' "$times" "$text" "$words"
        else
            printf 'journal, %s times: %.200s\n' "$times" "$text"
        fi
    done <<ERRORS
$errors
ERRORS
    [ "$more" = 0 ] || echo "journal: $more further messages"
else
    echo 'the journal could not be read'
fi
if [ -n "$unexpected" ]; then
    echo "failed and not expected:$unexpected" >&2
    exit 1
fi
