SELECT * FROM boards.pipeline
