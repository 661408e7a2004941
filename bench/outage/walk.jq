# Writes a plan as the shell script that a careful person would type: the same commands, copies and waits in the same order and parallelism, without the
# checks before and after each step. Functions are those of by-hand.sh. Input: plan.json.

def quoted: "'" + gsub("'"; "'\\''") + "'";

# Values of templates: variables of the host and its address are known now, outputs of earlier steps only when the script runs.
def rendered($host):
  reduce ({"host.address": $host.connection.address} + $host.vars | to_entries[]) as $var
    (.; gsub("\\{\\{ *" + ($var.key | gsub("\\."; "\\.")) + " *\\}\\}"; $var.value | tostring));
def late: gsub("\\{\\{ *steps\\.(?<step>[a-z0-9_]+)\\.(?<out>[a-z0-9_]+) *\\}\\}"; "'\"$out_\(.step)_\(.out)\"'");
def text($host): rendered($host) | quoted | late;

def command($host): if .shell then "shell " + ($host.name | quoted) + " " + (.shell | text($host))
  else "argv " + ($host.name | quoted) + " " + ([.argv[] | text($host)] | join(" ")) end;

def measure($host):
  if has("all") then ([.all[] | measure($host)] | if length == 0 then "true" else join(" && ") end)
  elif has("command") then .command.command | command($host)
  elif has("http") then "http " + (.http.url | text($host)) + " " + (.http.status | tostring)
  elif has("tcp") then "tcp " + (.tcp.address | text($host))
  elif has("release") then "release " + ($host.name | quoted) + " " + (.release.version | quoted)
  else error("a measure that is not known: \(keys)") end;

def seconds: capture("^(?<n>[0-9.]+)(?<unit>ms|s|m|h)$") | (.n | tonumber) * {ms: 0.001, s: 1, m: 60, h: 3600}[.unit];

def work($host; $step):
  if has("exec") then
    (if .exec.output == "keep" and (.exec.outputs // $step.outputs // {} | length) > 0
     then ($step.id | split("/") | last | gsub("-"; "_")) as $name
       | "out_\($name)_\(.exec.outputs // $step.outputs | keys[0])=$(quote \"$(" + (.exec.command | command($host)) + ")\")"
     else (.exec.command | command($host)) + " >>\"$log\"" end)
  elif has("write-file") then .["write-file"] |
    "put " + ($host.name | quoted) + " " + (.path | quoted) + " " + (.mode // 420 | tostring) + " " + (.content // "" | text($host))
  elif has("edit-file") then .["edit-file"] |
    "shell " + ($host.name | quoted) + " " + ([.edits[] | .set // error("an edit that is not known: \(keys)") |
      "sed -i " + ("s|^\(.key)\(.separator).*|\(.key)\(.separator)\(.value)|" | quoted) + " "] as $edits | .path as $path | [$edits[] + $path] | join("; ") | text($host))
  elif has("fetch") then .fetch | "mkdir -p \"$copies/$(dirname " + (.file | quoted) + ")\"; " + (.exec.command | command($host)) + " >\"$copies/\"" + (.file | quoted)
  elif has("feed") then .feed | "feed \"$copies/\"" + (.file | quoted) + " " + (.exec.command | command($host)) + " >>\"$log\""
  elif has("reboot") then "reboot_host " + ($host.name | quoted)
  elif has("wait") then "until_so " + (.wait.every | seconds | tostring) + " " + (.wait.at_most | seconds | tostring) + " " + (.wait.until | measure($host) | quoted)
  elif has("persist") then .persist | "carry_out " + ($host.name | quoted) + " \"$copies/\"" + (.file | quoted) + " " + ([.paths[] | quoted] | join(" "))
  elif has("restore") then .restore | "carry_in " + ($host.name | quoted) + " \"$copies/\"" + (.file | quoted)
  elif has("machine") then .machine |
    if .op == "rebuild" then "rebuild " + ($host.name | quoted) + " " + (.image | text($host)) + " " + (.answers_within | seconds | tostring)
    elif .op == "describe" then "true"
    else error("a machine's work that is not known: \(.op)") end
  elif has("announce") then "true"
  else error("work that is not known: \(keys)") end;

. as $plan
| def walk($host):
    # What is cleaned up later, by name, is no part of the upgrade.
    if has("sequence") then .sequence.blocks[] | select((.sequence.id // "") != "cleanup") | walk($host)
    elif has("parallel") then (.parallel.blocks[] | "(", walk($host), ") &"), "wait_all"
    elif has("scope") then .scope | (.open | if type == "array" then .[] else . end | if has("id") then {step: .} else . end | walk($host)),
      (.body | if type == "array" then .[] else . end | walk($host)),
      (.close | if type == "array" then .[] else . end | if has("id") then {step: .} else . end | walk($host))
    elif has("roll") then .roll as $roll | $plan.rolls[$roll.id] as $turns | $turns.batches[]
      | if $turns.at_once == 1 or length == 1 then .[] as $name | ($roll.body | walk($plan.hosts[$name]))
        else (.[] as $name | "(", ($roll.body | walk($plan.hosts[$name])), ") &"), "wait_all" end
    elif has("step") then .step as $step | "step \($step.id | quoted) \($host.name | quoted)", ($step.work | work($host; $step))
    else error("a block that is not known: \(keys)") end;
  .root | walk(null)
