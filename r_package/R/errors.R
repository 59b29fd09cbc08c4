# Conditions: simferry_error_<code>, simferry_error, error. The text is never taken for markup.
raise <- function(code, message, hint = "") {
  hint <- if (is.null(hint)) "" else hint
  text <- shown(if (nzchar(hint)) paste(message, hint, sep = "\n") else message)
  stop(structure(
    class = c(paste0("simferry_error_", code), "simferry_error", "error", "condition"),
    list(message = text, call = NULL, code = code, hint = hint)
  ))
}

# Texts of others, as they are to be written: on a terminal, what would steer it (all but colours, tabs and ends of
# lines) as its number.
shown <- function(text, to = stderr()) if (isatty(to)) visible(text) else text

visible <- function(text) {
  steering <- paste0("\\x1b(?!\\[[0-9;:]*m)|",
                     "[\\x01-\\x08\\x0b\\x0c\\x0e-\\x1a\\x1c-\\x1f\\x7f-\\x9f\\x{202a}-\\x{202e}\\x{2066}-\\x{2069}]")
  text <- iconv(enc2utf8(text), "UTF-8", "UTF-8", sub = "byte")   # what is no text steers nothing
  found <- gregexpr(paste0("(*UTF)", steering), text, perl = TRUE)
  as_number <- function(character) sprintf(if ((n <- utf8ToInt(character)) < 256L) "\\x%02x" else "\\u%04x", n)
  regmatches(text, found) <- lapply(regmatches(text, found), function(x) vapply(x, as_number, ""))
  text
}

# The name of a run, as it stands in a call that can be pasted.
quoted <- function(text) encodeString(text, quote = "\"")

counted <- function(n, what) paste0(number(n), " ", what, if (n != 1) "s")
are <- function(n) if (n == 1) "is" else "are"

number <- function(n) format(n, big.mark = ",", scientific = FALSE, trim = TRUE)

# A hint where replications did not find what is here: their code does not show that it uses it, as where only a text
# names it. messages: theirs. from: environments. option: what sends it.
hint_to_send <- function(messages, from, option) {
  is_here <- function(name) {
    any(vapply(from, function(e) !is.null(home <- where_is(name, e)) && is_of_session(home), NA))
  }
  names <- Filter(is_here, names_not_found(messages))
  if (!length(names)) return()
  value <- if (length(names) == 1L) quoted(names) else paste0("c(", paste(quoted(names), collapse = ", "), ")")
  message(paste(names, collapse = ", "), " ", are(length(names)),
          " here, but the code does not show that it is used: ", option, " = ", value, "  sends it along")
}

# From R's messages, in English and in this session's language.
names_not_found <- function(messages) {
  forms <- c("object '%s' not found", "could not find function \"%s\"")
  forms <- unique(c(forms, gettext(forms, domain = "R")))
  found <- lapply(strsplit(forms, "%s", fixed = TRUE), function(parts) {
    pattern <- paste0(".*\\Q", parts[1L], "\\E([^'\"\n]+)\\Q", parts[2L], "\\E.*")
    sub(pattern, "\\1", grep(pattern, messages, value = TRUE, perl = TRUE), perl = TRUE)
  })
  unique(unlist(found))
}
