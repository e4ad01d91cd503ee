# Prints "NAMESPACE::NAME FILE:LINE" for each class, struct, union and enumeration that is defined at
# the scope of a namespace with a name: those that must not exist twice in a program. Not for all of
# C++, but for sources in the style of this repository.

function strip(text,    out) {  # Comments and literals, which may span lines.
  out = ""
  while (text != "") {
    if (literal != "") {  # In a raw string, up to its end; or in a comment.
      if ((at = index(text, literal)) == 0) return out
      text = substr(text, at + length(literal))
      literal = ""
    } else if (match(text, /\/\/|\/\*|R"[^(]*\(|"([^"\\]|\\.)*"|[^0-9a-fA-F]'([^'\\]|\\.[^']*)'/)) {
      out = out substr(text, 1, RSTART - 1)
      found = substr(text, RSTART, RLENGTH)
      text = substr(text, RSTART + RLENGTH)
      if (found == "//") return out
      if (found == "/*") literal = "*/"
      else if (found ~ /^R"/) literal = ")" substr(found, 3, length(found) - 3) "\""
      else if (found ~ /'$/) out = out substr(found, 1, 1) "0"
      else out = out "\"\""
    } else {
      return out text
    }
  }
  return out
}

function defined_name(head) {  # Of a class, if that is what begins here.
  gsub(/alignas *\([^)]*\)|\[\[[^]]*\]\]|[A-Z][A-Z_]+(\([^)]*\))? +/, " ", head)
  while (match(head, /template *<[^<>]*>/) || match(head, /<[^<>]*>/)) {
    # Innermost first. A specialization is no definition of its own name.
    head = substr(head, 1, RSTART - 1) (substr(head, RSTART, 1) == "<" ? "<" : "") \
           substr(head, RSTART + RLENGTH)
    sub(/template *<$|template *< +/, "", head)
    if (head !~ /<[^<>]*>/) break
  }
  sub(/^.*template *<?/, "", head)
  if (!match(head, /^ *(enum +class|enum +struct|class|struct|union|enum) +[A-Za-z_][A-Za-z_0-9]* *(final *)?(:[^:].*)?$/)) {
    return ""
  }
  sub(/^ *(enum +)?(class|struct|union|enum) +/, "", head)
  match(head, /^[A-Za-z_0-9]+/)
  return substr(head, 1, RLENGTH)
}

function open_brace(head,    name) {
  ++depth
  kind[depth] = "other"
  if (head ~ /(^|[ \t])namespace([ \t]+[A-Za-z_0-9:]+)?[ \t]*$/) {
    name = head
    sub(/^.*namespace[ \t]*/, "", name)
    gsub(/[ \t]/, "", name)
    kind[depth] = name == "" ? "anonymous" : "namespace"
    scope[depth] = scope[depth - 1] (scope[depth - 1] == "" || name == "" ? "" : "::") name
  } else if (head ~ /extern ""[ \t]*$/) {
    kind[depth] = kind[depth - 1]
    scope[depth] = scope[depth - 1]
  } else if (kind[depth - 1] == "namespace" && (name = defined_name(head)) != "") {
    print scope[depth - 1] "::" name, FILENAME ":" FNR
  }
  if (kind[depth - 1] == "anonymous") kind[depth] = "anonymous"
}

FNR == 1 { depth = 0; head = ""; literal = ""; continued = 0; kind[0] = "global"; scope[0] = "" }
{
  line = $0
  if (literal == "" && (continued || line ~ /^[ \t]*#/)) {  # The preprocessor's.
    continued = line ~ /\\$/
    next
  }
  text = strip(line) " "
  while (match(text, /[{};]/)) {
    brace = substr(text, RSTART, 1)
    head = head substr(text, 1, RSTART - 1)
    text = substr(text, RSTART + 1)
    if (brace == "{") open_brace(head)
    if (brace == "}" && depth > 0) --depth
    head = ""
  }
  head = head text
}
