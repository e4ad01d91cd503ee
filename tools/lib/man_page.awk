# Makes a manual page (man(7)) of what `annulus COMMAND --help` prints, which knows best.
#   awk -v name=annulus-run -v summary='start a ...' -v version=0.1.0 -v see='annulus(1)' -f man_page.awk
# The help has: "Usage:" lines, a description, "Flags:", then sections that begin with "Title:" or have none.
# An empty line separates parts; lines that begin with a blank are shown as they are.

function escape(text) {
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  gsub(/\^/, "\\(ha", text)
  gsub(/~/, "\\(ti", text)
  gsub(/`/, "\\(ga", text)
  gsub(/'/, "\\(aq", text)
  if (text ~ /^\./) text = "\\&" text
  return text
}

# Preformatted text begins or ends.
function verbatim(on) {
  if (on == is_verbatim) return
  print on ? ".EX" : ".EE"
  is_verbatim = on
}

function heading(title) {
  verbatim(0)
  print ".SH " (title ~ / / ? "\"" title "\"" : title)
  fresh = 1
}

function paragraph() {
  verbatim(0)
  if (!fresh) print ".PP"
  fresh = 0
}

# A line of text: running, or as it is.
function show(line) {
  if (line ~ /^ /) {
    if (!is_verbatim && !fresh) print ".PP"
    verbatim(1)
  } else if (is_verbatim) {
    verbatim(0)
    print ".PP"
  }
  fresh = 0
  print escape(line)
}

BEGIN {
  title["Examples"] = "EXAMPLES"
  title["Exit codes"] = "EXIT STATUS"
  title["Commands"] = "COMMANDS"
  printf ".TH %s 1 \"\" \"Annulus %s\" \"Annulus\"\n", toupper(name), version
  print ".ad l"
  print ".SH NAME"
  print escape(name) " \\- " escape(summary)
}

/^Usage: / || (part == "usage" && NF) {
  if (part == "") {
    heading("SYNOPSIS")
    part = "usage"
  } else {
    print ".br"
  }
  sub(/^(Usage:)? +/, "")
  print escape($0)
  next
}

!NF {
  if (part == "usage") {
    heading("DESCRIPTION")
    part = "text"
  }
  empty = 1
  next
}

/^Flags:$/ {
  heading("OPTIONS")
  part = "flags"
  empty = 0
  next
}

part == "flags" && /^  -/ {
  verbatim(0)
  fresh = 0
  print ".TP"
  sub(/^ +/, "")
  print ".B " escape($0)
  empty = 0
  next
}

# Help of a flag, indented as it is.
part == "flags" && /^      / {
  line = substr($0, 7)
  if (line ~ /^ /) {
    verbatim(1)
  } else if (is_verbatim) {
    verbatim(0)
  }
  print escape(line)
  next
}

empty && match($0, /^[A-Z][A-Za-z ]*:/) && substr($0, 1, RLENGTH - 1) in title {
  heading(title[substr($0, 1, RLENGTH - 1)])
  part = "text"
  $0 = substr($0, RLENGTH + 1)
  sub(/^ +/, "")
  empty = 0
  if (NF) show($0)
  next
}

{
  if (part == "flags") {
    heading("NOTES")
    part = "text"
    empty = 0
  }
  if (empty) paragraph()
  empty = 0
  show($0)
}

END {
  if (see != "") {
    heading("SEE ALSO")
    see = escape(see)
    gsub(/annulus/, "\\%annulus", see)  # Names are not hyphenated.
    print see
  }
  verbatim(0)
}
