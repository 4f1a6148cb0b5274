//! Values of options: formats, usages, sizes.

use lucarne::{Extent, Format, Usage};

use crate::output::nearest;

/// A format by its name, its four characters or its code.
pub(crate) fn format_value(text: &str) -> Result<Format, String> {
    if let Ok(format) = text.parse::<Format>()
        && format.info().is_some()
    {
        return Ok(format);
    }
    let alike = nearest(text, Format::ALL.iter().map(|info| info.name));
    Err(if alike.is_empty() {
        "no such format; `lucarne caps` lists those that this machine can share".to_owned()
    } else {
        format!("no such format; did you mean {}?", alike.join(", "))
    })
}

/// Usages with commas between them.
pub(crate) fn usage_value(text: &str) -> Result<Usage, String> {
    let known = || {
        Usage::all()
            .iter_names()
            .map(|(name, usage)| (name.to_lowercase().replace('_', "-"), usage))
    };
    let mut usage = Usage::empty();
    for word in text.split(',') {
        let word = word.trim().to_lowercase();
        let Some((_, one)) = known().find(|(name, _)| *name == word) else {
            let names: Vec<String> = known().map(|(name, _)| name).collect();
            return Err(format!("{word:?} is none of {}", names.join(", ")));
        };
        usage |= one;
    }
    Ok(usage)
}

/// `1280x720`.
pub(crate) fn extent_value(text: &str) -> Result<Extent, String> {
    let wanted = || format!("{text:?} is not WIDTHxHEIGHT, as in 1280x720");
    let (width, height) = text.split_once('x').ok_or_else(wanted)?;
    let extent = Extent::new(
        width.parse().map_err(|_| wanted())?,
        height.parse().map_err(|_| wanted())?,
    );
    extent.check().map_err(|error| error.to_string())?;
    Ok(extent)
}

/// A number of seconds, up to a day.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=86_400.0).contains(&number) => Ok(number),
        _ => Err("must be a number from 0 to 86400".to_owned()),
    }
}

/// Frames a second.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.1..=1000.0).contains(&number) => Ok(number),
        _ => Err("must be a number from 0.1 to 1000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_mistakes_are_named() {
        assert_eq!(format_value("AB24"), Ok(Format::ABGR8888));
        assert!(
            format_value("XRGB888")
                .expect_err("no such format")
                .contains("XRGB8888")
        );
        assert_eq!(
            usage_value("render,sample"),
            Ok(Usage::RENDER | Usage::SAMPLE)
        );
        assert!(
            usage_value("draw")
                .expect_err("no such usage")
                .contains("transfer-source")
        );
        assert_eq!(extent_value("1280x720"), Ok(Extent::new(1280, 720)));
        for wrong in ["1280", "x720", "0x720", "1280x99999"] {
            assert!(extent_value(wrong).is_err(), "{wrong}");
        }
        for wrong in ["nan", "inf", "-1", "x", ""] {
            assert!(seconds(wrong).is_err() && rate(wrong).is_err(), "{wrong}");
        }
    }
}
