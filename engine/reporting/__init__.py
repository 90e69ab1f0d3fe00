"""The report of a run: figures against gold, report.json, report.html and the table on the terminal."""
