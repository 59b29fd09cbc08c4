# Conditions: simferry_error_<code>, simferry_error, error. The text is never taken for markup.
raise <- function(code, message, hint = "") {
  hint <- if (is.null(hint)) "" else hint
  text <- if (nzchar(hint)) paste(message, hint, sep = "\n") else message
  stop(structure(
    class = c(paste0("simferry_error_", code), "simferry_error", "error", "condition"),
    list(message = text, call = NULL, code = code, hint = hint)
  ))
}

counted <- function(n, what) paste0(number(n), " ", what, if (n != 1) "s")

number <- function(n) format(n, big.mark = ",", scientific = FALSE, trim = TRUE)
