-- Each partition as one part: what is read FINAL then costs as if it were read as it is.
OPTIMIZE TABLE {database:Identifier}.{table:Identifier} FINAL
